package localapi_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

func (h *house) prompt(t *testing.T, c *client.Client, want string) client.Prompt {
	t.Helper()
	p, err := c.Prompt(t.Context(), client.PromptRequest{Key: "voice/use"})
	got := ""
	if refusal, ok := errors.AsType[*client.Error](err); ok {
		got = refusal.Code
	}
	if got != want || want == "" && err != nil {
		t.Errorf("%v, want %q", err, want)
	}
	return p
}

// A question is asked when its feature was used, by the program that needs it, and
// not because a program looked around, or long after.
func TestPromptNeedsAUse(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	h.prompt(t, c, "not_used")
	if _, err := c.DecideAll(t.Context(), cardea.Query{Key: "voice/use"}, cardea.Query{Key: "recommendations/use"}); err != nil {
		t.Fatal(err)
	}
	h.server.Use("another", h.link, "voice/use")
	h.server.Use("everything", cardea.NewID[cardea.LinkID](), "voice/use")
	h.server.Use("everything", h.link, "voice/sale")
	h.prompt(t, c, "not_used")
	if a, err := c.Decide(t.Context(), "voice/use", cardea.UseCollect); err != nil || a.Reason != cardea.ReasonNotAsked {
		t.Fatalf("%+v, %v", a, err)
	}
	h.server.Pass(5 * time.Minute)
	h.prompt(t, c, "not_used")
	if _, err := c.Decide(t.Context(), "voice/use", cardea.UseCollect); err != nil {
		t.Fatal(err)
	}
	p := h.prompt(t, c, "")
	want := client.Prompt{
		Key: "voice/use", Version: 1, Class: cardea.ClassA, Reason: cardea.ReasonNotAsked, Link: h.link,
		Head: cardea.Position{Era: 1, Seq: 9, Hash: cardea.Hash{9}}, URI: "https://id.example/consents#c-voice-use",
	}
	if p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
}

// Who did not answer is left alone for a day, however often they use it.
func TestPromptIsShownOnceADay(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	for day := range 3 {
		for n, want := range []string{"", "asked_lately", "asked_lately"} {
			if _, err := c.Decide(t.Context(), "voice/use", cardea.UseCollect); err != nil {
				t.Fatal(err)
			}
			t.Log(day, n)
			h.prompt(t, c, want)
		}
		h.server.Pass(24 * time.Hour)
	}
}

// Who has said no, here or elsewhere, is not asked again by the device, and who
// has said yes is not asked at all. A yes that has ended by itself is asked again
// without a use.
func TestPromptAfterAnAnswer(t *testing.T) {
	for reason, want := range map[cardea.Reason]string{
		cardea.ReasonRefused: "no_question", cardea.ReasonWithdrawn: "no_question", cardea.ReasonConflict: "no_question",
		cardea.ReasonGuardian: "no_question", cardea.ReasonGranted: "no_question",
		cardea.ReasonNotice: "", cardea.ReasonExpired: "",
	} {
		h := newHouse(t)
		h.change(func() {
			h.view = cardea.NewView([]cardea.Consent{{Key: "voice/use", Version: 1, Reason: reason, Class: cardea.ClassA, Staleness: 3600}},
				nil, epoch, epoch.Add(24*time.Hour))
		})
		if p := h.prompt(t, h.client(t), want); want == "" && p.Reason != reason {
			t.Errorf("%+v", p)
		}
	}
	h := newHouse(t)
	c := h.client(t)
	if _, err := c.Decide(t.Context(), "voice/use", cardea.UseCollect); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"}); err != nil {
		t.Fatal(err)
	}
	h.prompt(t, c, "no_question") // also before the cloud has heard of it
}

// What is shown and what a yes names belong together, and the way to the owner's
// page is one that scans.
func TestNoticeAndCode(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	n, err := c.Notice(t.Context(), "voice/use", "de")
	if err != nil || n.Key != "voice/use" || n.Version != 1 || n.Language != "de" || n.Notice.IsZero() {
		t.Errorf("%+v, %v", n, err)
	}
	picture, err := c.PromptQR(t.Context(), "voice/use")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := qrtest.DecodePNG(picture); err != nil || got != "https://id.example/consents#c-voice-use" {
		t.Errorf("it scans as %q", got)
	}
	stranger := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [\"decide\", \"consent.write\", \"consent.read\"]\npurposes = [\"recommendations\"]", os.Getuid()))
	if _, err := stranger.client(t).Notice(t.Context(), "voice/use", ""); err == nil || !strings.Contains(err.Error(), "not_entitled") {
		t.Errorf("a purpose that is not the program's: %v", err)
	}
}
