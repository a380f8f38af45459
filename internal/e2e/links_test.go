package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// Links that were good once, or for somebody else: of a code that has run out, of
// one that was used, and everything the pages of another owner lead to. Each says
// what is wrong; none links a device, ends one, or shows whose it is.
func TestLinksThatAreNoGood(t *testing.T) {
	t.Parallel()
	s := newStageWith(t, shipped(t), func(c *stage.Config) { c.CodeLife = "8s" })
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a := newAgent(t, s, "a", "speaker")

	first := must1(a.Pair(t.Context()))(t)
	must(t, ada.Open(t.Context(), first.VerificationURIComplete))
	until(t, "the device shows another code", func() error {
		p, err := a.Pairing(t.Context())
		if err == nil && p.UserCode == first.UserCode {
			err = fmt.Errorf("still %s", p.UserCode)
		}
		return err
	})
	until(t, "the first one has run out", func() error {
		if end := first.ExpiresAt.Time(); time.Now().Before(end) {
			return fmt.Errorf("it ends at %s", end)
		}
		must(t, bob.Open(t.Context(), first.VerificationURIComplete))
		if bob.Status() != http.StatusGone || !strings.Contains(bob.Text(), "This code has expired") {
			return fmt.Errorf("%d %s", bob.Status(), bob.Text())
		}
		return nil
	})
	must(t, ada.Press(t.Context(), "Approve", "")) // on the page that was opened in time
	if ada.Status() != http.StatusGone {
		t.Errorf("approved after its end: %d %s", ada.Status(), ada.Text())
	}

	ada.Fill("name", strings.Repeat("<b>", 3<<10))
	second := must1(a.Pair(t.Context()))(t)
	must(t, ada.Open(t.Context(), second.VerificationURIComplete))
	must(t, ada.Press(t.Context(), "Approve", ""))
	if text := ada.Text(); ada.Status() != http.StatusUnprocessableEntity || !strings.Contains(text, "too long") || len(text) > 4<<10 {
		t.Errorf("a name of 9 KB: %d %s", ada.Status(), text)
	}
	const name = `<i>Ada’s</i> ห้องนอน "寝室"`
	ada.Fill("name", name)
	must(t, ada.Press(t.Context(), "Approve", ""))
	linked(t, a)
	for who, phone := range map[string]*owner.Owner{"the owner": ada, "somebody else": bob} {
		must(t, phone.Open(t.Context(), second.VerificationURIComplete))
		if phone.Status() != http.StatusConflict || !strings.Contains(phone.Text(), "This code was used already") {
			t.Errorf("used, and opened again by %s: %d %s", who, phone.Status(), phone.Text())
		}
	}

	foreign := 0
	for _, link := range linksOf(t, s, ada) {
		must(t, bob.Open(t.Context(), s.URL+link))
		if strings.Contains(bob.Text(), "Ada’s") || strings.Contains(bob.Text(), "ada@") {
			t.Errorf("%s shows somebody else: %s", link, bob.Text())
		}
		if strings.Contains(link, "link=") {
			foreign++
			if bob.Status() < http.StatusBadRequest {
				t.Errorf("%s of somebody else: %d %s", link, bob.Status(), bob.Text())
			}
		}
	}
	if foreign == 0 {
		t.Error("no page leads to anything of the owner's own")
	}
	must(t, ada.Open(t.Context(), s.URL+"/devices"))
	if n := len(people(t, a)); n != 1 || !strings.Contains(ada.Text(), name) {
		t.Errorf("%d links; the owner reads %s", n, ada.Text())
	}
}

// linksOf is where the pages of an owner lead, as far as it is this site.
func linksOf(t *testing.T, s *stage.Stage, phone *owner.Owner) (all []string) {
	t.Helper()
	for _, at := range []string{"/consents", "/devices", "/history", "/account", "/leaving", "/pair"} {
		must(t, phone.Open(t.Context(), s.URL+at))
		for n := range phone.Page().Descendants() {
			for _, a := range n.Attr {
				if n.Type == html.ElementNode && n.Data == "a" && a.Key == "href" && strings.HasPrefix(a.Val, "/") {
					all = append(all, a.Val)
				}
			}
		}
	}
	return all
}
