package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/browser/browsertest"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

// A life is an owner with a phone and a speaker, and what thumbs did.
type life struct {
	*testing.T
	*house
	speaker *stage.Agent
	phone   *browsertest.Person
	thumb   *browser.Authenticator
}

var (
	mailed = regexp.MustCompile(`\b[0-9]{3} [0-9]{3}\b`)
	phone  = browser.Look{Width: 390, Height: 844, Language: "en"}
)

// TestAnOwnersLife: somebody who was never here scans a speaker's code with their
// phone, and has an account with a passkey when they come back to it; what they
// allow and refuse is what the speaker says; they sign in with the passkey alone,
// take everything back, have another browser thrown out, change their ways to sign
// in, and leave. Cloud and agent are the real programs, and so is the browser.
func TestAnOwnersLife(t *testing.T) {
	l := &life{T: t, house: open(t, true)}
	var err error
	l.speaker, err = l.StartAgent(t.Context(), "kitchen", "speaker")
	must(t, err)
	l.phone = browsertest.New(t, one, phone)
	l.thumb, err = l.phone.Page.Authenticator()
	must(t, err)

	pair := l.phone.Counted(l.meet)
	give, refuse := l.decide()
	l.onlyWay()
	signIn := l.phone.Counted(l.comeBack)
	withdraw := l.phone.Counted(l.withdrawAway)
	l.confirmAddress()
	l.throwOut()
	l.changeWays()
	erase := l.leave()
	l.phone.Content()
	t.Logf("taps: register and pair=%d give=%d refuse=%d sign in=%d withdraw=%d erase, with the passkey=%d", pair, give, refuse, signIn, withdraw, erase)
	if pair > 5 || give != 1 || refuse != 1 || signIn != 1 || withdraw > give {
		t.Error("that is more than it should take")
	}
}

// scan is the address in the code on the speaker's screen.
func (l *life) scan() string {
	l.Helper()
	_, err := l.speaker.Pair(l.Context())
	must(l.T, err)
	picture, err := l.speaker.QRImage(l.Context(), 320)
	must(l.T, err)
	address, err := qrtest.DecodePNG(picture)
	must(l.T, err)
	return address
}

// meet is the way of a stranger from the code to a speaker that is theirs.
func (l *life) meet() {
	l.phone.Open(l.scan())
	l.phone.Says("A device is waiting for you")
	l.phone.Tap("Create an account")
	l.phone.Fill("Your name", "Mara")
	l.phone.Fill("E-mail", email)
	l.phone.Tap("Create account with a passkey")
	l.phone.Tap("Make the passkey")
	l.phone.Says("Is this your speaker?") // the code was kept on the way
	kept, err := l.thumb.Credentials()
	must(l.T, err)
	if len(kept) != 1 {
		l.Errorf("the phone keeps %d passkeys", len(kept))
	}
	l.phone.Tap("Approve")
	must(l.T, l.until(l.Context(), "the speaker is linked", func() error {
		p, err := l.speaker.Pairing(l.Context())
		if err == nil && p.State != client.PairLinked {
			err = fmt.Errorf("it is %s", p.State)
		}
		return err
	}))
}

const (
	suggest = cardea.Key("recommendations/use")
	pass    = cardea.Key("recommendations/third_party")
	near    = cardea.Key("presence/use")
	voice   = cardea.Key("voice_history/use")
)

// decide allows some and refuses some, and asks the speaker.
func (l *life) decide() (give, refuse int) {
	l.phone.Tap("Decide what it may do")
	l.phone.At("/consents")
	press := func(key cardea.Key, answer string) int {
		return l.phone.Counted(func() { l.phone.TapIn("#c-"+strings.ReplaceAll(string(key), "/", "-"), "button[value="+answer+"]") })
	}
	give, refuse = press(suggest, "allow"), press(pass, "deny")
	press(near, "deny")
	l.answers(map[cardea.Key]cardea.Verdict{suggest: cardea.Allow, pass: cardea.Deny, near: cardea.Deny, voice: cardea.Deny})
	return give, refuse
}

// answers waits until the speaker answers so.
func (l *life) answers(want map[cardea.Key]cardea.Verdict) {
	l.Helper()
	for key, verdict := range want {
		must(l.T, l.until(l.Context(), fmt.Sprintf("%s is answered %s", key, verdict), func() error {
			got, err := l.speaker.Decide(l.Context(), key, cardea.UseLocal)
			if err == nil && got.Verdict != verdict {
				err = fmt.Errorf("it is %s: %s", got.Verdict, got.Reason)
			}
			return err
		}))
	}
}

// onlyWay: whoever has nothing but a passkey keeps it.
func (l *life) onlyWay() {
	l.phone.Open(l.URL + "/account")
	l.phone.TapIn("#passkeys", "form button")
	l.phone.Says("This is your only way in")
}

// comeBack signs out, and in again with the passkey and nothing typed.
func (l *life) comeBack() {
	l.phone.Open(l.URL + "/account")
	must(l.T, l.phone.Page.Press("Sign out"))
	l.phone.Open(l.URL + "/consents")
	l.phone.At("/signin")
	l.phone.Tap("Sign in with a passkey")
	l.phone.At("/consents")
}

// withdrawAway takes back what was allowed while the speaker is out of reach. The
// page that is open then tells by itself when it has stopped.
func (l *life) withdrawAway() {
	facet := "#c-recommendations-use"
	l.speaker.Network(false)
	l.phone.TapIn(facet, "button[value=deny]")
	l.phone.Says("Stopped on 0 of 1")
	must(l.T, l.phone.Page.Run("window.stays = true; document.activeElement.blur()", nil))
	l.speaker.Network(true)
	l.phone.Await(`document.querySelector("` + facet + ` .effect")?.innerText.includes("Stopped on 1 of 1")`)
	if !l.phone.Is("window.stays") {
		l.Error("the page was loaded anew")
	}
	l.answers(map[cardea.Key]cardea.Verdict{suggest: cardea.Deny})
}

// code waits for the next one that is sent.
func (l *life) code(send func()) string {
	l.Helper()
	before := len(l.mail.Letters())
	send()
	code, err := l.letter(l.Context(), before, mailed)
	must(l.T, err)
	return code
}

func (l *life) confirmAddress() {
	l.phone.Open(l.URL + "/account")
	code := l.code(func() { l.phone.TapIn(`form[action="/account/confirm"]`, "button") })
	l.phone.Fill("code", code)
	l.phone.TapIn("main form", "button")
	l.phone.At("/account")
}

// throwOut: a sign-in in another browser stands in the list, and ends from here.
func (l *life) throwOut() {
	other := browsertest.New(l.T, one, browser.Look{Language: "en"})
	l.byCode(other, "/devices")
	other.Says("Speaker")
	l.phone.Open(l.URL + "/account")
	if boxes, err := l.phone.Page.Boxes(`#sessions + section form[action="/account/sessions/end"]`); err != nil || len(boxes) != 1 {
		l.Errorf("%d other browsers are listed, %v", len(boxes), err)
	}
	l.phone.Tap("Sign out everywhere else")
	l.phone.SaysNot("Sign out everywhere else")
	other.Open(l.URL + "/devices")
	other.At("/signin")
}

// byCode signs in with a code from the mailbox.
func (l *life) byCode(p *browsertest.Person, page string) {
	l.Helper()
	must(l.T, l.thumb.Verified(false)) // or the phone would offer its passkey where the address is typed
	p.Open(l.URL + "/signin?next=" + page)
	p.Fill("E-mail", email)
	code := l.code(func() { p.Tap("Send me a code instead") })
	p.Fill("code", code)
	p.TapIn("main form", "button")
	p.At(page)
	must(l.T, l.thumb.Verified(true))
}

// changeWays: who came in by a code shows the passkey before it is taken away, and
// can have another one then.
func (l *life) changeWays() {
	l.signOut()
	l.byCode(l.phone, "/account")
	l.phone.TapIn("#passkeys", "form button")
	l.phone.At("/again")
	l.phone.Tap("Use your passkey")
	l.phone.At("/account")
	l.phone.TapIn("#passkeys", "form button")
	l.phone.Says("None yet")
	l.phone.Tap("Add a passkey")
	l.phone.Tap("Make the passkey")
	l.phone.Says("used just now")
}

func (l *life) signOut() {
	l.phone.Open(l.URL + "/account")
	must(l.T, l.phone.Page.Press("Sign out"))
}

// leave erases the account, for which a code from the mailbox is not enough; the
// speaker is nobody's then.
func (l *life) leave() (taps int) {
	l.signOut()
	l.byCode(l.phone, "/leaving/erase")
	erase := func() { l.phone.TapIn(`form[action="/leaving/erase"]`, "button") }
	taps = l.phone.Counted(func() {
		erase()
		l.phone.At("/again")
		l.phone.Tap("Use your passkey")
		l.phone.At("/leaving/erase")
		erase()
	})
	l.phone.At("/erased")
	must(l.T, l.until(l.Context(), "the speaker is nobody's", func() error {
		links, err := l.speaker.Links(l.Context())
		if err == nil && len(links.Links) > 0 {
			err = fmt.Errorf("%d links", len(links.Links))
		}
		return err
	}))
	return taps
}
