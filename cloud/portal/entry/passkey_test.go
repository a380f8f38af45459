package entry_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/passkey/passkeytest"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/store/accountdb"
)

func withPasskeys(c *portal.Config) { c.Secret = []byte("the secret of all clouds") }

// options are what a page asks the browser for.
func options(t *testing.T, d *portaltest.Document, attribute string) string {
	t.Helper()
	for f := range d.All("form") {
		if o := portaltest.Attr(f, attribute); o != "" {
			return o
		}
	}
	t.Fatalf("no %s on the page: %d\n%s", attribute, d.Status, d.Text)
	return ""
}

// addPasskey makes one on a phone.
func addPasskey(t *testing.T, h *portaltest.House, b *portaltest.Browser) *passkeytest.Phone {
	t.Helper()
	p := passkeytest.New(t, "http://cardea.test")
	page := b.Get("/account/passkey")
	page.Check()
	d := b.Press(page, "Make the passkey", "name", "Phone", "answer", p.Create(t, options(t, page, "data-make")))
	if d.Header.Get("Location") != "/account" {
		t.Fatalf("make a passkey: status %d\n%s", d.Status, d.Text)
	}
	err := h.DB.View(t.Context(), func(tx *accountdb.Tx) (err error) {
		p.Holder.UserHandle, err = tx.Handle(b.Who())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// usePasskey signs in with it.
func usePasskey(t *testing.T, b *portaltest.Browser, p *passkeytest.Phone) (*portaltest.Document, string) {
	t.Helper()
	page := b.Get("/signin?next=/devices")
	page.Check()
	answer := p.Use(t, options(t, page, "data-use"))
	return b.Press(page, "Sign in with a passkey", "answer", answer), answer
}

// An account without a password signs in with a passkey, and pairs a device.
func TestPasskeySignsIn(t *testing.T) {
	h := portaltest.Open(t, withPasskeys)
	b := h.Browser(t)
	account := b.Register()
	p := addPasskey(t, h, b)
	page := b.Get("/account")
	page.Check()
	page.MustSay("Phone", "used just now")
	if d := b.Press(page, "Remove: Password"); d.Status != http.StatusSeeOther {
		t.Fatalf("remove the password: status %d\n%s", d.Status, d.Text)
	}
	if d := b.Press(b.Get("/account"), "Remove: Phone"); d.Status != http.StatusConflict {
		t.Errorf("the last way to sign in is removed: status %d", d.Status)
	} else {
		d.MustSay("This is your only way in")
	}
	other := h.Browser(t)
	if d := other.Press(other.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password); d.Status != http.StatusUnauthorized {
		t.Errorf("the password that was removed: status %d", d.Status)
	}
	d, answer := usePasskey(t, other, p)
	if d.Header.Get("Location") != "/devices" || other.Who() != account {
		t.Fatalf("status %d to %q\n%s", d.Status, d.Header.Get("Location"), d.Text)
	}
	if s := session(t, h, other); s.Level() != accountdb.Verified || strings.Join(s.AMR(), " ") != "pop user mfa" {
		t.Errorf("level %d, amr %v", s.Level(), s.AMR())
	}
	code := h.ASpeaker()
	if d := other.Press(other.Get("/pair?code="+string(code)), "Approve"); !strings.HasPrefix(d.Header.Get("Location"), "/pair/approved") {
		t.Errorf("pairing without a password: status %d", d.Status)
	}

	thief := h.Browser(t)
	if thief.Press(thief.Get("/signin"), "Sign in with a passkey", "answer", answer); !thief.Who().IsZero() {
		t.Error("what was answered in one browser signs in another")
	}
}

// One answer counts once, also in the browser that it was made in.
func TestPasskeyAnswerCountsOnce(t *testing.T) {
	h := portaltest.Open(t, withPasskeys)
	b := h.Browser(t)
	b.Register()
	p := addPasskey(t, h, b)
	tab := h.Browser(t)
	page := tab.Get("/signin")
	form := page.Form("Sign in with a passkey")
	form.Fields.Set("answer", p.Use(t, options(t, page, "data-use")))
	visitor := tab.Jar.Cookies(portaltest.Base)
	if d := tab.Post(form.Action, form.Fields); d.Status != http.StatusSeeOther {
		t.Fatalf("status %d", d.Status)
	}
	replay := h.Browser(t)
	replay.Jar.SetCookies(portaltest.Base, visitor) // whoever has all that was sent
	if d := replay.Post(form.Action, form.Fields); d.Status != http.StatusForbidden || !replay.Who().IsZero() {
		t.Errorf("replayed: status %d", d.Status)
	}
}

// A passkey whose counter goes back lets nobody in, and the owner sees why.
func TestClonedPasskey(t *testing.T) {
	h := portaltest.Open(t, withPasskeys)
	b := h.Browser(t)
	b.Register()
	p := addPasskey(t, h, b)
	for i, counter := range []uint32{5, 9, 7} {
		p.Passkey.Counter = counter
		other := h.Browser(t)
		d, _ := usePasskey(t, other, p)
		if in := !other.Who().IsZero(); in != (i < 2) {
			t.Errorf("counter %d: signed in %v, status %d", counter, in, d.Status)
		}
		if i == 2 {
			d.MustSay("This passkey may be in two places")
		}
	}
	b.Get("/account").MustSay("it may be in two places: remove it")
}

// A passkey of somebody else shows nobody that it is the owner.
func TestForeignPasskey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t, withPasskeys)
		eve := h.Browser(t)
		eve.RegisterAs("eve@example.com")
		foreign := addPasskey(t, h, eve)
		b := h.Browser(t)
		b.Register()
		addPasskey(t, h, b)
		time.Sleep(6 * time.Minute)
		page := b.Follow(b.Get("/account/passkey"))
		d := b.Press(page, "Use your passkey", "answer", foreign.Use(t, options(t, page, "data-use")))
		if d.Status != http.StatusForbidden || session(t, h, b).Strong(time.Now(), desk.Fresh) {
			t.Errorf("status %d", d.Status)
		}
	})
}

// What cannot be taken back needs the owner again after five minutes, by the
// strongest they have: a stolen session removes nothing.
func TestStepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t, withPasskeys)
		b := h.Browser(t)
		b.Register()
		time.Sleep(6 * time.Minute)
		for path, button := range map[string]string{"/account/passkey": "", "/account/password": "", "/account": "Remove: Password"} {
			d := b.Get(path)
			if button != "" {
				d = b.Press(d, button)
			}
			if to := d.Header.Get("Location"); !strings.HasPrefix(to, "/again?next=%2Faccount") {
				t.Errorf("%s %s: status %d to %q", path, button, d.Status, to)
			}
		}
		again := b.Follow(b.Get("/account/passkey"))
		again.Check()
		again.MustSay("Is it you?")
		if d := b.Press(again, "Continue", "password", "not the password"); d.Status != http.StatusUnauthorized {
			t.Errorf("a wrong password: status %d", d.Status)
		}
		back := b.Follow(b.Press(again, "Continue", "password", portaltest.Password))
		if to := back.Header.Get("Location"); to != "/account/passkey" {
			t.Fatalf("after the password: to %q", to)
		}
		p := addPasskey(t, h, b)

		// From here on the password is not enough.
		time.Sleep(6 * time.Minute)
		again = b.Follow(b.Press(b.Get("/account"), "Remove: Password"))
		half := b.Follow(b.Press(again, "Continue", "password", portaltest.Password))
		if half.Status != http.StatusOK {
			t.Errorf("a password alone leads to %q", half.Header.Get("Location"))
		}
		half.MustSay("One more, please")
		d := b.Press(half, "Use your passkey", "answer", p.Use(t, options(t, half, "data-use")))
		if to := b.Follow(d).Header.Get("Location"); to != "/account" {
			t.Errorf("with the passkey: to %q", to)
		}
		if d := b.Press(b.Get("/account"), "Remove: Password"); d.Header.Get("Location") != "/account" {
			t.Errorf("remove the password: status %d to %q", d.Status, d.Header.Get("Location"))
		}
	})
}

// Two tabs remove two ways to sign in: one of them is the last.
func TestTwoTabsRemoveEverything(t *testing.T) {
	h := portaltest.Open(t, withPasskeys)
	b := h.Browser(t)
	b.Register()
	addPasskey(t, h, b)
	one, two := b.Get("/account"), b.Get("/account")
	first, second := b.Press(one, "Remove: Password"), b.Press(two, "Remove: Phone")
	if first.Status != http.StatusSeeOther || second.Status != http.StatusConflict {
		t.Errorf("status %d and %d", first.Status, second.Status)
	}
	if again := b.Press(two, "Remove: Password"); again.Status != http.StatusSeeOther && again.Status != http.StatusConflict {
		t.Errorf("what is gone already: status %d", again.Status)
	}
}

// The brand can ask for a passkey, or two methods, before a device is let in.
func TestPolicyForPairing(t *testing.T) {
	h, post := openMail(t, withPasskeys, func(c *portal.Config) { c.Policy.Verified = []desk.Act{desk.Pairing} })
	b := h.Browser(t)
	confirmed(t, b, post, portaltest.Email)
	code := h.ASpeaker()
	asks := b.Get("/pair?code=" + string(code))
	d := b.Press(asks, "Approve")
	if to := d.Header.Get("Location"); !strings.HasPrefix(to, "/again?") || h.Pairings.Answered(code) != "" {
		t.Fatalf("by a code alone: status %d to %q, %s", d.Status, to, h.Pairings.Answered(code))
	}
	page := b.Follow(d)
	page.Check()
	page.MustSay("This needs a passkey")
	addPasskey(t, h, b)
	b.Follow(b.Get(d.Header.Get("Location"))).MustSay("Is this your speaker?")
	if d := b.Press(asks, "Approve"); !strings.HasPrefix(d.Header.Get("Location"), "/pair/approved") {
		t.Errorf("with a passkey: status %d to %q", d.Status, d.Header.Get("Location"))
	}
}

// With a password and a code there is no need for a passkey.
func TestTwoMethods(t *testing.T) {
	h, post := openMail(t, func(c *portal.Config) { c.Policy.Verified = []desk.Act{desk.Pairing} })
	b := h.Browser(t)
	account := confirmed(t, b, post, portaltest.Email)
	setPassword(t, b)
	err := h.DB.Update(t.Context(), func(tx *accountdb.Tx) error { // it was set long ago
		l, err := h.DB.LoginByEmail(t.Context(), portaltest.Email)
		if err != nil {
			return err
		}
		return tx.SetPassword(account, l.Password, false)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Press(b.Get("/devices"), "Sign out")
	b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	code := h.ASpeaker()
	asks := b.Get("/pair?code=" + string(code))
	again := b.Follow(b.Press(asks, "Approve"))
	again.MustSay("One more, please")
	n := len(post.Letters())
	page := b.Press(again, "Send me a code")
	b.Press(page, "Continue", "code", post.CodeAfter(t, n))
	if d := b.Press(asks, "Approve"); !strings.HasPrefix(d.Header.Get("Location"), "/pair/approved") {
		t.Errorf("with both: status %d to %q", d.Status, d.Header.Get("Location"))
	}
	if s := session(t, h, b); strings.Join(s.AMR(), " ") != "pwd otp mfa" {
		t.Errorf("amr %v", s.AMR())
	}
}

func TestSessionsPage(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	var others []*portaltest.Browser
	for range 3 {
		o := h.Browser(t)
		o.Press(o.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
		others = append(others, o)
	}
	in := func() (n int) {
		for _, o := range others {
			if o.Who() == account {
				n++
			}
		}
		return n
	}
	page := b.Get("/account")
	page.Check()
	page.MustSay("Where you are signed in", "this browser")
	b.Press(page, "Sign out: A browser")
	if got := in(); got != 2 {
		t.Errorf("%d others are signed in after one was ended", got)
	}
	b.Press(b.Get("/account"), "Sign out everywhere else")
	if got := in(); got != 0 || b.Who() != account {
		t.Errorf("%d others are signed in after all were ended", got)
	}
	eve := h.Browser(t)
	eve.RegisterAs("eve@example.com")
	form := page.Form("Sign out: A browser")
	mine := session(t, h, b)
	form.Fields.Set("session", mine.Hash.String()[:32])
	form.Fields.Set("form", eve.Get("/account").Form("Save").Fields.Get("form"))
	eve.Post(form.Action, form.Fields)
	if b.Who() != account {
		t.Error("somebody else ended the session")
	}
}

// A name is told to the devices: their statements are built again.
func TestNameReachesDevices(t *testing.T) {
	told := 0
	h := portaltest.Open(t)
	h.Entry.Renamed = func(cardea.AccountID) { told++ }
	b := h.Browser(t)
	account := b.Register()
	d := h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
	err := h.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
		return tx.SetBuilt(d.Link, 1, cardea.Position{Seq: 1, Hash: cardea.Hash{1}}, cardea.Hash{2})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Press(b.Get("/account"), "Save", "name", "  Ada   Lovelace ")
	err = h.DB.View(t.Context(), func(tx *accountdb.Tx) error {
		name, err := tx.Name(account)
		if name != "Ada Lovelace" {
			t.Errorf("name %q", name)
		}
		l, lerr := tx.Link(d.Link)
		if !l.Built.Hash.IsZero() {
			t.Error("the statement is taken to be up to date")
		}
		if err == nil {
			err = lerr
		}
		return err
	})
	if err != nil || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
}

// Terms are accepted apart from every consent, and recorded apart.
func TestTermsAreNoConsent(t *testing.T) {
	h := portaltest.Open(t, func(c *portal.Config) { c.Terms = "https://hearth.example/terms/3" })
	b := h.Browser(t)
	page := b.Get("/register")
	page.Check()
	if d := b.Press(page, "Create account", "email", portaltest.Email, "password", portaltest.Password); d.Status != http.StatusUnprocessableEntity {
		t.Errorf("not accepted: status %d", d.Status)
	}
	if d := b.Press(page, "Create account", "email", portaltest.Email, "password", portaltest.Password, "terms", "yes"); d.Status != http.StatusSeeOther {
		t.Fatalf("accepted: status %d\n%s", d.Status, d.Text)
	}
	if to := b.Get("/terms").Header.Get("Location"); to != "https://hearth.example/terms/3" {
		t.Errorf("terms at %q", to)
	}
	if head := h.Head(t, b.Who()); head.Seq != 0 {
		t.Errorf("accepting the terms is entry %d of the ledger: it is no consent", head.Seq)
	}
}
