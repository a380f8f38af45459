package pairs_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

const aLabel = pairing.Label("BCDF-GHJK-LMNP-QRST-VWXZ")

// fakeLabels is one device under one label.
type fakeLabels struct {
	mu     sync.Mutex
	asks   issuer.LabelRequest
	err    error
	answer string
	by     cardea.AccountID
}

func (f *fakeLabels) LookupLabel(_ context.Context, account cardea.AccountID, label pairing.Label, _ netip.Addr) (issuer.LabelRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return issuer.LabelRequest{}, f.err
	case label != aLabel:
		return issuer.LabelRequest{}, issuer.ErrAsleep
	case f.answer != "" && account != f.by:
		return issuer.LabelRequest{}, issuer.ErrUsed
	}
	return f.asks, nil
}

func (f *fakeLabels) ApproveLabel(_ context.Context, account cardea.AccountID, _ pairing.Label, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.by, f.asks.Presses, f.asks.Grant = "approved "+name, account, 3, "the-grant"
	return f.err
}

func (f *fakeLabels) DenyLabel(context.Context, cardea.AccountID, pairing.Label) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = "declined"
	return f.err
}

func openWithLabel(t *testing.T) (*portaltest.House, *fakeLabels) {
	labels := &fakeLabels{asks: issuer.LabelRequest{Request: issuer.Request{
		Device:    pairing.Device{Kind: "speaker", Model: "Hearth Mini", Serial: "4F2A"},
		Requested: time.Now().Add(-12 * time.Second), Expires: time.Now().Add(10 * time.Minute),
	}}}
	return portaltest.Open(t, func(c *portal.Config) { c.Labels = labels }), labels
}

// From the label to the button: the number of presses is told to who said yes.
func TestLabelPages(t *testing.T) {
	h, labels := openWithLabel(t)
	b := h.Browser(t)
	account := b.Register()
	bare := strings.ToLower(strings.ReplaceAll(string(aLabel), "-", ""))
	for _, path := range []string{"/L/" + strings.ToUpper(bare), "/l/" + bare} {
		d := b.Follow(b.Get(path))
		d.MustSay("Is this your speaker?", "Hearth Mini", "4F2A", "within your reach", "from another network")
		if strings.Contains(d.Text, "times") && strings.Contains(d.Text, "Press its button three") {
			t.Error("the number is told before the yes")
		}
		d.Check()
	}
	if labels.answer != "" {
		t.Errorf("a page that was only opened %s", labels.answer)
	}
	page := b.Get("/pair/label?label=" + string(aLabel))
	b.Press(page, "Approve", "name", "").MustSay("Give the device a name")
	d := b.Follow(b.Press(page, "Approve", "name", "Hall"))
	d.MustSay("Press its button three times")
	d.Check()
	if labels.answer != "approved Hall" || d.Header.Get("Refresh") == "" {
		t.Errorf("%q, refresh %q", labels.answer, d.Header.Get("Refresh"))
	}
	b.Follow(b.Press(page, "Approve")).MustSay("Press its button") // a second tap
	stranger := h.Browser(t)
	stranger.RegisterAs("eve@example.com")
	s := stranger.Get("/pair/label?label=" + string(aLabel))
	s.MustSay("answered already", "do not press it now")
	if strings.Contains(s.Text, "three") || s.Status != http.StatusConflict {
		t.Errorf("a stranger is told: %d %s", s.Status, s.Text)
	}
	labels.asks = issuer.LabelRequest{Request: issuer.Request{Grant: "the-grant"}, Done: true}
	joined := portaltest.HubDevice("Hall")
	joined.Grant = "the-grant"
	h.Link(t, account, joined)
	b.Follow(b.Get("/pair/label?label=" + string(aLabel))).MustSay("Hall is yours")
}

func TestLabelDeclined(t *testing.T) {
	h, labels := openWithLabel(t)
	b := h.Browser(t)
	b.Register()
	b.Follow(b.Press(b.Get("/pair/label?label="+string(aLabel)), "Decline", "name", "")).MustSay("Declined")
	if labels.answer != "declined" {
		t.Errorf("%q", labels.answer)
	}
}

// A device that sleeps is waited for: the owner may scan first.
func TestLabelOfASleepingDevice(t *testing.T) {
	h, _ := openWithLabel(t)
	b := h.Browser(t)
	b.Register()
	d := b.Get("/pair/label?label=ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ")
	d.MustSay("Wake the device", "Hold its button", "ZZZZ-ZZZZ")
	if d.Header.Get("Refresh") == "" {
		t.Error("the page does not go on by itself")
	}
	d.Check()
}

func TestLabelProblems(t *testing.T) {
	h, labels := openWithLabel(t)
	b := h.Browser(t)
	b.Register()
	page := b.Get("/pair/label?label=" + string(aLabel))
	for _, text := range []string{"", "WDJB-MJHT", "<script>", strings.Repeat("B", 1000), "\xff"} {
		d := b.Get("/pair/label?" + url.Values{"label": {text}}.Encode())
		if d.Status != http.StatusUnprocessableEntity {
			t.Errorf("%.20q: %d", text, d.Status)
		}
		d.MustSay("not a whole label")
		d.Check()
	}
	b.Press(page, "Approve", "answer", "perhaps").MustSay("No answer")
	for err, says := range map[error]string{issuer.ErrUsed: "answered already", issuer.ErrAsleep: "asks no more", issuer.ErrInactive: "switched off"} {
		labels.err = err
		b.Press(page, "Approve", "name", "Hall").MustSay(says)
		b.Press(page, "Decline").MustSay(says)
	}
	// Whoever is not signed in comes back to the label.
	stranger := h.Browser(t)
	to := stranger.Follow(stranger.Get("/L/" + strings.ReplaceAll(string(aLabel), "-", ""))).Header.Get("Location")
	if !strings.Contains(to, "%2Fpair%2Flabel%3Flabel%3DBCDFGHJKLMNPQRSTVWXZ") {
		t.Errorf("sent to %q", to)
	}
}
