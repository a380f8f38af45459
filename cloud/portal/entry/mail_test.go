package entry_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/mail"
	"github.com/cardea-id/cardea/cloud/mail/mailtest"
	"github.com/cardea-id/cardea/cloud/passkey/passkeytest"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/store/accountdb"
)

// openMail is a portal that sends its mail to a real server.
func openMail(t *testing.T, change ...func(*portal.Config)) (*portaltest.House, *mailtest.Server) {
	t.Helper()
	return openMailIn(t, t.TempDir(), accountdb.NewKey(), change...)
}

// openMailIn is one over the database in a folder.
func openMailIn(t *testing.T, dir string, key accountdb.Key, change ...func(*portal.Config)) (*portaltest.House, *mailtest.Server) {
	t.Helper()
	post := mailtest.Start(t)
	var mailer *mail.Mailer
	h := portaltest.OpenIn(t, dir, key, append(change, func(c *portal.Config) { c.Mail = func() { mailer.Wake() } })...)
	mailer, err := mail.New(mail.Config{URL: post.URL(), From: "Hearth <hello@hearth.example>", DB: h.DB, Pause: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { mailer.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
	return h, post
}

const registerLite = "Create account"

// lite registers with a name and an address.
func lite(t *testing.T, b *portaltest.Browser, email string) cardea.AccountID {
	t.Helper()
	d := b.Press(b.Get("/register"), registerLite, "name", "Ada", "email", email)
	if d.Status != http.StatusSeeOther {
		t.Fatalf("register: status %d\n%s", d.Status, d.Text)
	}
	return b.Who()
}

// confirmed registers and answers from the address.
func confirmed(t *testing.T, b *portaltest.Browser, post *mailtest.Server, email string) cardea.AccountID {
	t.Helper()
	account := lite(t, b, email)
	d := b.Press(b.Get("/account/confirm"), "Confirm", "code", post.To(t, email).Code())
	if d.Status != http.StatusSeeOther {
		t.Fatalf("confirm: status %d\n%s", d.Status, d.Text)
	}
	return account
}

// setPassword gives an account with an address a password.
func setPassword(t *testing.T, b *portaltest.Browser) {
	t.Helper()
	if d := b.Press(b.Get("/account/password"), "Save", "password", portaltest.Password); d.Header.Get("Location") != "/account" {
		t.Fatalf("set a password: status %d\n%s", d.Status, d.Text)
	}
}

// Who registers on the way to a device can have a passkey right then, and comes
// back to the device with it, or without.
func TestRegisterWithAPasskey(t *testing.T) {
	h, _ := openMail(t, withPasskeys)
	code := h.ASpeaker()
	there := "/pair?code=" + string(code)
	b := h.Browser(t)
	d := b.Press(b.Get(desk.WithNext("/register", there)), "Create account with a passkey", "name", "Ada", "email", portaltest.Email)
	page := b.Follow(d)
	page.Check()
	if to := link(page, "Not now"); to != there {
		t.Errorf("who wants none goes on to %q", to)
	}
	d = b.Press(page, "Make the passkey", "name", "", "answer", "")
	if to := link(d, "Not now"); d.Status != http.StatusUnprocessableEntity || to != there {
		t.Errorf("without a name: %d, on to %q", d.Status, to)
	}
	p := passkeytest.New(t, "http://cardea.test")
	d = b.Press(page, "Make the passkey", "name", "Phone", "answer", p.Create(t, options(t, page, "data-make")))
	b.Follow(d).MustSay("Is this your speaker?", string(code))
	if s := session(t, h, b); s.Level() != accountdb.Verified {
		t.Errorf("level %d", s.Level())
	}
}

// link is where the link with these words leads.
func link(d *portaltest.Document, words string) string {
	for a := range d.All("a") {
		if portaltest.TextOf(a) == words {
			return portaltest.Attr(a, "href")
		}
	}
	d.T.Fatalf("no link %q: %d\n%s", words, d.Status, d.Text)
	return ""
}

// A name and an address are enough for the portal, for settings, and for a device
// that keeps everything to itself.
func TestLiteAccount(t *testing.T) {
	h, post := openMail(t)
	code := h.ASpeaker()
	b := h.Browser(t)
	signIn := b.Follow(b.Get("/pair?code=" + string(code)))
	page := b.Get(link(signIn, "Create an account"))
	page.Check()
	if strings.Contains(page.Text, `type="password"`) {
		t.Error("registering asks for a password")
	}
	asks := b.Follow(b.Press(page, registerLite, "name", "Ada", "email", portaltest.Email))
	asks.MustSay("Is this your speaker?", string(code))
	if d := b.Press(asks, "Approve"); !strings.HasPrefix(d.Header.Get("Location"), "/pair/approved") {
		t.Errorf("approving: %d to %q", d.Status, d.Header.Get("Location"))
	}
	for _, path := range []string{"/consents", "/devices", "/account", "/history"} {
		if d := b.Get(path); d.Status != http.StatusOK {
			t.Errorf("%s: status %d", path, d.Status)
		}
	}
	account := b.Get("/account")
	account.Check()
	account.MustSay("Not confirmed yet", "ada@example.com")
	s := session(t, h, b)
	if s.Level() != accountdb.Claimed || len(s.AMR()) != 0 || !s.Claimed {
		t.Errorf("level %d, amr %v", s.Level(), s.AMR())
	}

	letter := post.To(t, portaltest.Email)
	if !strings.Contains(letter.Text, "browser that asked for it") || letter.Header.Get("Subject") == "" {
		t.Errorf("letter = %+v", letter)
	}
	b.Press(b.Get("/account/confirm"), "Confirm", "code", letter.Code())
	if s := session(t, h, b); s.Level() != accountdb.Shown || strings.Join(s.AMR(), " ") != "otp" || s.Claimed {
		t.Errorf("confirmed: level %d, amr %v", s.Level(), s.AMR())
	}
}

// session is how a browser is signed in.
func session(t *testing.T, h *portaltest.House, b *portaltest.Browser) accountdb.Session {
	t.Helper()
	var all []accountdb.Session
	err := h.DB.View(t.Context(), func(tx *accountdb.Tx) (err error) {
		all, err = tx.Sessions(b.Who())
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no session: %v", err)
	}
	return all[0]
}

// Where mail is sent, nothing on a page tells whether an address has an account.
func TestNobodyLearnsWhoHasAnAccount(t *testing.T) {
	h, post := openMail(t)
	confirmed(t, h.Browser(t), post, portaltest.Email)
	const stranger = "eve@example.com"
	same := func(what, a, b string) {
		t.Helper()
		if strings.ReplaceAll(b, stranger, portaltest.Email) != a {
			t.Errorf("%s tells an address that is known from one that is not:\n%s\n%s", what, a, b)
		}
	}
	send := func(path, button, email string) string {
		b := h.Browser(t)
		d := b.Press(b.Get(path), button, "email", email)
		d.Check()
		text := portaltest.TextOf(d.Root)
		wrong := b.Press(d, "Continue", "code", "000000", "password", portaltest.Password)
		return text + http.StatusText(d.Status) + portaltest.TextOf(wrong.Root) + http.StatusText(wrong.Status)
	}
	same("asking for a code", send("/signin", "Send me a code instead", portaltest.Email), send("/signin", "Send me a code instead", stranger))
	same("asking for a new password", send("/reset", "Send me a code", portaltest.Email), send("/reset", "Send me a code", stranger))
	register := func(email string) string {
		b := h.Browser(t)
		d := b.Press(b.Get("/register"), registerLite, "email", email)
		return d.Header.Get("Location") + portaltest.TextOf(b.Get("/account").Root)
	}
	same("registering", register(portaltest.Email), register(stranger))
	if owner, err := h.DB.LoginByEmail(t.Context(), portaltest.Email); err != nil || owner.Account.IsZero() {
		t.Errorf("the owner can no longer sign in: %v", err)
	}
}

func TestSignInByCode(t *testing.T) {
	h, post := openMail(t)
	account := confirmed(t, h.Browser(t), post, portaltest.Email)
	b := h.Browser(t)
	n := len(post.Letters())
	page := b.Press(b.Get("/signin?next=/devices"), "Send me a code instead", "email", "Ada@example.com ")
	page.Check()
	code := post.CodeAfter(t, n)
	thief := h.Browser(t)
	stolen := thief.Press(thief.Press(thief.Get("/signin"), "Send me a code instead", "email", portaltest.Email), "Continue", "code", code)
	if stolen.Status != http.StatusUnprocessableEntity || !thief.Who().IsZero() {
		t.Errorf("in another browser: status %d", stolen.Status)
	}
	done := b.Press(page, "Continue", "code", " "+code[:3]+" "+code[3:])
	if done.Header.Get("Location") != "/devices" || b.Who() != account {
		t.Errorf("status %d to %q\n%s", done.Status, done.Header.Get("Location"), done.Text)
	}
	again := h.Browser(t)
	again.Jar = b.Jar
	b.Press(b.Get("/devices"), "Sign out")
	if d := b.Press(page, "Continue", "code", code); !b.Who().IsZero() {
		t.Errorf("the same code again: status %d", d.Status)
	}
}

func TestGuessedCodes(t *testing.T) {
	h, post := openMail(t)
	confirmed(t, h.Browser(t), post, portaltest.Email)
	b := h.Browser(t)
	n := len(post.Letters())
	page := b.Press(b.Get("/signin"), "Send me a code instead", "email", portaltest.Email)
	code := post.CodeAfter(t, n)
	for i := range 5 {
		if d := b.Press(page, "Continue", "code", "99999"+string(rune('0'+i))); d.Status != http.StatusUnprocessableEntity {
			t.Fatalf("guess %d: status %d", i, d.Status)
		}
	}
	if b.Press(page, "Continue", "code", code); !b.Who().IsZero() {
		t.Error("the code counted after five guesses")
	}
	last := 0
	for range 6 {
		other := h.Browser(t)
		other.From = "198.51.100.9:1"
		last = other.Press(other.Get("/signin"), "Send me a code instead", "email", portaltest.Email).Status
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("after many codes: status %d", last)
	}
}

// A forgotten password is replaced. Devices stay, and other browsers too unless
// the owner wants otherwise.
func TestPasswordResetUnpairsNothing(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		h, post := openMail(t)
		b := h.Browser(t)
		account := confirmed(t, b, post, portaltest.Email)
		setPassword(t, b)
		h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
		forgetful := h.Browser(t)
		n := len(post.Letters())
		page := forgetful.Press(forgetful.Get("/reset"), "Send me a code", "email", portaltest.Email)
		page.Check()
		fields := []string{"code", post.CodeAfter(t, n), "password", "another long password"}
		if everywhere {
			fields = append(fields, "everywhere", "yes")
		}
		if d := forgetful.Press(page, "Continue", fields...); d.Status != http.StatusSeeOther || forgetful.Who() != account {
			t.Fatalf("status %d\n%s", d.Status, d.Text)
		}
		if gone := b.Who().IsZero(); gone != everywhere {
			t.Errorf("everywhere %v: the other browser is signed out: %v", everywhere, gone)
		}
		if len(h.Devices.Unlinked) != 0 || len(h.Devices.Get()) != 1 {
			t.Error("a device was unlinked")
		}
		old := h.Browser(t)
		if d := old.Press(old.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password); d.Status != http.StatusUnauthorized {
			t.Errorf("the old password: status %d", d.Status)
		}
		post.Wait(t, n+2)
		if l := post.To(t, portaltest.Email); !strings.Contains(l.Subject, "password") && !strings.Contains(l.Subject, "sign-in") {
			t.Errorf("the owner was told %q", l.Subject)
		}
	}
}

// find is a letter whose subject has a word.
func find(t *testing.T, post *mailtest.Server, word string) mailtest.Letter {
	t.Helper()
	for n := 1; ; n++ {
		if l := post.Wait(t, n); strings.Contains(l.Subject, word) {
			return l
		}
	}
}

// undo opens the link of a letter.
func undo(t *testing.T, b *portaltest.Browser, l mailtest.Letter) *portaltest.Document {
	t.Helper()
	path, ok := strings.CutPrefix(l.Link(), "http://cardea.test")
	if !ok || strings.Contains(path, "@") || strings.Contains(path, "?") {
		t.Fatalf("link %q", l.Link())
	}
	return b.Get(path)
}

// A browser that was never seen before is told of, and signed out with one tap;
// opening the link does nothing.
func TestNewBrowserIsToldOf(t *testing.T) {
	h, post := openMail(t)
	b := h.Browser(t)
	account := confirmed(t, b, post, portaltest.Email)
	setPassword(t, b)
	b.Press(b.Get("/devices"), "Sign out")
	b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	thief := h.Browser(t)
	thief.Press(thief.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	if thief.Who() != account {
		t.Fatal("not signed in")
	}
	letter := find(t, post, "new sign-in")
	phone := h.Browser(t)
	page := undo(t, phone, letter)
	page.Check()
	page.MustSay("Take it back?", "signed in to your account")
	if thief.Who() != account {
		t.Fatal("opening the link did it already")
	}
	phone.Press(page, "Sign it out").MustSay("Done")
	if !thief.Who().IsZero() || b.Who() != account {
		t.Errorf("signed in after it: there %v, here %v", !thief.Who().IsZero(), !b.Who().IsZero())
	}
	if d := phone.Press(page, "Sign it out"); d.Status != http.StatusGone {
		t.Errorf("a second time: status %d", d.Status)
	}
	undo(t, phone, letter).MustSay("This link has done its work")
	for _, l := range post.Letters()[:3] {
		if strings.Contains(l.Subject, "sign-in") && l.Text != letter.Text {
			t.Errorf("the known browser was told of: %s", l.Text)
		}
	}
}

// A new device is told of, and put out with one tap by whoever has the mailbox,
// signed in or not.
func TestNewDeviceIsToldOf(t *testing.T) {
	h, post := openMail(t)
	b := h.Browser(t)
	account := confirmed(t, b, post, portaltest.Email)
	code := h.ASpeaker()
	d := h.Link(t, account, hub.Device{Name: "Kitchen", Kind: "speaker", Grant: "the-grant"})
	if got := b.Press(b.Get("/pair?code="+string(code)), "Approve", "name", "Kitchen"); got.Status != http.StatusSeeOther {
		t.Fatalf("approve: status %d\n%s", got.Status, got.Text)
	}
	letter := find(t, post, "Kitchen was added")
	phone := h.Browser(t)
	page := undo(t, phone, letter)
	if len(h.Devices.Unlinked) != 0 {
		t.Fatal("opening the link unlinked it")
	}
	phone.Press(page, "Put it out", "everywhere", "yes").MustSay("Done")
	if len(h.Devices.Unlinked) != 1 || h.Devices.Unlinked[0] != d.Link {
		t.Errorf("unlinked %v", h.Devices.Unlinked)
	}
	if !b.Who().IsZero() {
		t.Error("still signed in where it was paired")
	}
}

// Links that are not ours, or no longer, do nothing and tell nothing.
func TestForeignLinks(t *testing.T) {
	h, post := openMail(t)
	b := h.Browser(t)
	confirmed(t, b, post, portaltest.Email)
	for _, secret := range []string{"x", strings.Repeat("A", 43), strings.Repeat("A", 10_000), "%00", "..%2Faccount"} {
		if d := b.Get("/undo/" + secret); d.Status != http.StatusGone && d.Status != http.StatusNotFound {
			t.Errorf("/undo/%.20s: status %d", secret, d.Status)
		}
	}
}

// While the mail server is away everything else goes on, and nothing is lost.
func TestMailServerDown(t *testing.T) {
	h, post := openMail(t)
	post.Down()
	b := h.Browser(t)
	lite(t, b, portaltest.Email)
	if d := b.Get("/consents"); d.Status != http.StatusOK {
		t.Errorf("status %d", d.Status)
	}
	post.Up(t)
	if code := post.To(t, portaltest.Email).Code(); len(code) != 6 {
		t.Errorf("code %q", code)
	}
}

// Without mail the portal says so, and offers nothing that needs it.
func TestNoMail(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	if text := b.Get("/signin").Text; strings.Contains(text, "/signin/code") || strings.Contains(text, "/reset") {
		t.Error("a code is offered")
	}
	b.Get("/reset").MustSay("There is no code to be had")
	b.Register()
	page := b.Get("/account")
	page.Check()
	page.MustSay("This service sends no mail")
	b.Get("/account/confirm").MustSay("There is no code to be had")
}

// What people are called goes through letters and pages as it is.
func TestNamesInLetters(t *testing.T) {
	for _, name := range []string{"<b>Ada</b> & \"co\"", "أحمد", "김하늘", "สมชาย", "👩‍👧 Ada", "O’Neill"} {
		h, post := openMail(t)
		b := h.Browser(t)
		confirmed(t, b, post, portaltest.Email)
		b.Press(b.Get("/account"), "Save", "name", name)
		page := b.Get("/account")
		page.Check()
		if got := portaltest.Attr(page.Find("name"), "value"); got != name {
			t.Errorf("%q is shown as %q", name, got)
		}
		code := h.ASpeaker()
		b.Press(b.Get("/pair?code="+string(code)), "Approve", "name", name)
		if l := find(t, post, "was added"); !strings.Contains(l.Text, name) {
			t.Errorf("%q is told of as %s", name, l.Text)
		}
	}
	h, _ := openMail(t)
	b := h.Browser(t)
	if d := b.Press(b.Get("/register"), registerLite, "name", strings.Repeat("x", 10<<10), "email", portaltest.Email); d.Status != http.StatusUnprocessableEntity {
		t.Errorf("a name of 10 KB: status %d", d.Status)
	}
}

// Owners read on their account which roles the brand gave them, and that an account
// that nobody confirms ends; whoever has confirmed does not read that.
func TestAccountTellsRolesAndItsEnd(t *testing.T) {
	h, post := openMail(t)
	b := h.Browser(t)
	account := lite(t, b, portaltest.Email)
	page := b.Get("/account")
	page.Check()
	page.MustSay("this account is erased once this browser is signed out")
	if text := portaltest.TextOf(page.Root); strings.Contains(text, "Your roles") {
		t.Error("roles are shown of an owner without")
	}
	b.Press(b.Get("/account/confirm"), "Confirm", "code", post.To(t, portaltest.Email).Code())
	err := h.DB.Update(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.SetRoles(account, "driver mechanic"); return err })
	if err != nil {
		t.Fatal(err)
	}
	page = b.Get("/account")
	page.Check()
	page.MustSay("Your roles", "driver, mechanic", "Hearth gave you these")
	if text := portaltest.TextOf(page.Root); strings.Contains(text, "is erased once") {
		t.Error("an account that is confirmed is said to end")
	}
}
