package leaving_test

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// One press takes back all that the page listed, with a denial for each and
// nothing else.
func TestTakeBackEverything(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	speaker := h.Link(t, account, portaltest.HubDevice("Kitchen"))
	h.Decide(t, account, "recommendations/use", cardea.ActGrant, "", h.Head(t, account))
	h.Decide(t, account, "voice_clips/use", cardea.ActGrant, speaker.Device, h.Head(t, account))
	before := h.Head(t, account)
	d := b.Get("/leaving/withdraw")
	d.Check()
	d.MustSay("You allow 2 things", "Recommendations", "Only on Kitchen")
	h.Decide(t, account, "recommendations/third_party", cardea.ActGrant, "", h.Head(t, account)) // in another tab
	if to := b.Press(d, "Take back all").Header.Get("Location"); to != "/consents" {
		t.Fatalf("led to %q", to)
	}
	for _, key := range []cardea.Key{"recommendations/use", "recommendations/third_party"} {
		if s := h.Standing(t, account, key); s.Given() {
			t.Errorf("%s stands as %s", key, s.Reason)
		}
	}
	if n := h.Head(t, account).Seq - before.Seq; n != 1+3 {
		t.Errorf("%d entries, want the yes of the other tab and 3 denials", n)
	}
	d = b.Get("/leaving/withdraw")
	d.Check()
	d.MustSay("You allow nothing")
	before = h.Head(t, account)
	b.Post("/leaving/withdraw", url.Values{"form": {b.Get("/leaving/copy").Form("Download the copy").Fields.Get("form")}}) // once more
	if h.Head(t, account) != before {
		t.Error("nothing was allowed, and something was taken back")
	}
}

// The copy is one zip, of this owner and nobody else.
func TestCopy(t *testing.T) {
	h := portaltest.Open(t)
	b, other := h.Browser(t), h.Browser(t)
	h.Link(t, b.Register(), portaltest.HubDevice("Kitchen"))
	other.RegisterAs("bob@example.com")
	d := b.Press(b.Get("/leaving/copy"), "Download the copy")
	if d.Status != http.StatusOK || d.Header.Get("Content-Type") != "application/zip" || !strings.Contains(d.Header.Get("Content-Disposition"), "attachment") ||
		d.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", d.Status, d.Header)
	}
	page := file(t, d.Text, "index.html")
	for _, part := range []string{portaltest.Email, "Kitchen"} {
		if !strings.Contains(page, part) {
			t.Errorf("%q is not on the page", part)
		}
	}
	if strings.Contains(file(t, other.Press(other.Get("/leaving/copy"), "Download the copy").Text, "index.html"), "Kitchen") {
		t.Error("another account's copy has this one's device")
	}
}

func file(t *testing.T, text, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader([]byte(text)), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// After the press there is no account, and the page that was led to needs none.
func TestErase(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	h.Link(t, account, portaltest.HubDevice("Kitchen"))
	away := portaltest.HubDevice("Hall")
	away.Online = false
	h.Link(t, account, away)
	ask := b.Get("/leaving/erase")
	ask.Check()
	ask.MustSay("It is in reach", "by itself by", "Keep my account")
	done := b.Press(ask, "Erase everything")
	where := done.Header.Get("Location")
	proof := b.Follow(done)
	proof.Check()
	proof.MustSay("Your account is erased", "2 devices have still to erase", "It erases what it holds when it next connects", "http://cardea.test/erased?proof=", "The law gives us until")
	for _, personal := range []string{portaltest.Email, "Kitchen", "Hall"} {
		if strings.Contains(proof.Text, personal) {
			t.Errorf("the page says %q", personal)
		}
	}
	if d := b.Get("/devices"); d.Status != http.StatusSeeOther || !strings.HasPrefix(d.Header.Get("Location"), "/signin") {
		t.Errorf("still signed in: %d", d.Status)
	}
	if d := b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password); d.Status == http.StatusSeeOther {
		t.Error("the account still signs in")
	}
	if d := b.Post("/leaving/erase", ask.Form("Erase everything").Fields); d.Status != http.StatusForbidden {
		t.Errorf("the form sent again: %d", d.Status)
	}

	anywhere := h.Browser(t) // another browser, with the address alone
	page := anywhere.Get(where)
	page.Check()
	after := anywhere.Follow(anywhere.Press(page, "This one is lost, sold or broken"))
	after.Check()
	after.MustSay("1 device has still to erase", "that it is gone")
	anywhere.Press(after, "This one is lost, sold or broken")
	anywhere.Get(where).MustSay("Nothing is left to wait for")
}

// Secrets and devices that nobody was given are one and the same nothing.
func TestForeignProof(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	h.Link(t, account, portaltest.HubDevice("Kitchen"))
	page := b.Follow(b.Press(b.Get("/leaving/erase"), "Erase everything"))
	fields := page.Form("This one is lost, sold or broken").Fields
	for name, change := range map[string]url.Values{
		"another secret": {"proof": {"x"}}, "no secret": {"proof": {""}}, "no device": {"link": {"x"}}, "another device": {"link": {cardea.NewID[cardea.LinkID]().String()}},
	} {
		send := url.Values{"form": fields["form"], "proof": fields["proof"], "link": fields["link"]}
		maps.Copy(send, change)
		d := b.Post("/erased", send)
		d.Check()
		if d.Status != http.StatusNotFound {
			t.Errorf("%s: %d", name, d.Status)
		}
	}
	if d := b.Post("/erased", url.Values{"proof": fields["proof"], "link": fields["link"]}); d.Status != http.StatusForbidden {
		t.Errorf("without a form: %d", d.Status)
	}
}

// Who is signed in for a while shows once more who they are before a copy or the
// end; taking back never asks for that.
func TestSureFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		account := b.Register()
		before := h.Head(t, account)
		copying, erasing := b.Get("/leaving/copy").Form("Download the copy"), b.Get("/leaving/erase").Form("Erase everything")
		time.Sleep(time.Hour)
		for _, f := range []portaltest.Form{copying, erasing} {
			if d := b.Get(f.Action); d.Status != http.StatusOK { // to read it one need not be sure
				t.Errorf("%s: %d", f.Action, d.Status)
			}
			d := b.Post(f.Action, f.Fields)
			if to := d.Header.Get("Location"); d.Status != http.StatusSeeOther || !strings.HasPrefix(to, "/again") {
				t.Errorf("%s: %d to %q", f.Action, d.Status, to)
			}
		}
		if head := h.Head(t, account); head != before {
			t.Error("something was decided")
		}
		if d := b.Get("/leaving/withdraw"); d.Status != http.StatusOK {
			t.Errorf("taking back: %d", d.Status)
		}
	})
}
