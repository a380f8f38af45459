package mail_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/mail"
	"github.com/cardea-id/cardea/cloud/mail/mailtest"
	"github.com/cardea-id/cardea/internal/authority"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const to = "ada@example.com"

// A post is a database, and what is logged of its mail.
type post struct {
	t       *testing.T
	db      *accountdb.DB
	account cardea.AccountID
	mu      sync.Mutex
	logged  bytes.Buffer
}

func newPost(t *testing.T) *post {
	db := accountdbtest.Open(t)
	return &post{t: t, db: db, account: accountdbtest.Account(t, db).ID}
}

func (p *post) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logged.Write(b)
}

func (p *post) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logged.String()
}

// mailer sends to a server until the test ends.
func (p *post) mailer(url string, change ...func(*mail.Config)) *mail.Mailer {
	p.t.Helper()
	c := mail.Config{URL: url, From: "Hearth <hello@hearth.example>", DB: p.db, Pause: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(p, nil))}
	for _, f := range change {
		f(&c)
	}
	m, err := mail.New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { m.Run(ctx) })
	p.t.Cleanup(func() { stop(); done.Wait() })
	return m
}

func (p *post) letter(subject, text string) {
	p.t.Helper()
	p.letterFor(subject, text, time.Hour)
}

// letterFor is one that is given up after a time.
func (p *post) letterFor(subject, text string, life time.Duration) {
	p.t.Helper()
	err := p.db.Update(p.t.Context(), func(tx *accountdb.Tx) error {
		return tx.Post(p.account, accountdb.Letter{To: to, Subject: subject, Text: text}, life)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// empty waits until no letter waits.
func (p *post) empty() {
	p.t.Helper()
	for {
		var bag accountdb.Mailbag
		err := p.db.View(p.t.Context(), func(tx *accountdb.Tx) (err error) { bag, err = tx.Mailbag(); return err })
		if err != nil {
			p.t.Fatal(err)
		}
		if bag.Waiting == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLetterIsSent(t *testing.T) {
	s, p := mailtest.Start(t), newPost(t)
	m := p.mailer(s.URL())
	p.letter("Ein neues Gerät: 라디오", "Somebody paired \"Radio\".\n.\nFrom here on: ü")
	m.Wake()
	l := s.Wait(t, 1)
	p.empty()
	if l.To != to || l.Subject != "Ein neues Gerät: 라디오" || !strings.Contains(l.Text, "\n.\nFrom here on: ü") {
		t.Errorf("letter = %+v", l)
	}
	if from := l.Header.Get("From"); from != `"Hearth" <hello@hearth.example>` {
		t.Errorf("from %s", from)
	}
	if l.Header.Get("Auto-Submitted") != "auto-generated" || l.Header.Get("Message-Id") == "" || l.Header.Get("User-Agent") != "" {
		t.Errorf("header %v", l.Header)
	}
}

// A subject is one line, whatever somebody called a device.
func TestSubjectIsNoHeader(t *testing.T) {
	s, p := mailtest.Start(t), newPost(t)
	m := p.mailer(s.URL())
	p.letter("Radio\r\nBcc: eve@example.com\r\n\r\nhello", "text")
	m.Wake()
	if l := s.Wait(t, 1); l.Header.Get("Bcc") != "" || strings.TrimSpace(l.Text) != "text" {
		t.Errorf("letter = %+v", l)
	}
}

// A server that was away gets everything once it is back.
func TestServerThatIsAwayLosesNothing(t *testing.T) {
	s, p := mailtest.Start(t), newPost(t)
	s.Down()
	m := p.mailer(s.URL())
	const letters = 3
	for i := range letters {
		p.letter(fmt.Sprint("letter ", i), "text")
	}
	m.Wake()
	s.Up(t)
	s.Wait(t, letters)
	p.empty()
	if n := len(s.Letters()); n != letters {
		t.Errorf("%d letters, want %d", n, letters)
	}
}

// What a server will never take is not tried again; what it may take later is.
func TestRefusals(t *testing.T) {
	s, p := mailtest.Start(t), newPost(t)
	s.Refuse("550 5.1.1 ada@example.com: no such mailbox")
	m := p.mailer(s.URL())
	p.letter("s", "text")
	m.Wake()
	p.empty()
	if s.Asked() != 1 || len(s.Letters()) != 0 {
		t.Errorf("asked %d times, %d letters", s.Asked(), len(s.Letters()))
	}
	s.Refuse("451 4.7.1 later, please")
	p.letter("s", "text")
	m.Wake()
	s.WaitAsked(t, 2)
	s.Refuse("")
	s.Wait(t, 1)
	p.empty()
	if log := p.log(); !strings.Contains(log, "code=550") || !strings.Contains(log, "code=451") || strings.Contains(log, "ada@") {
		t.Errorf("logged: %s", log)
	}
}

// What became of every letter is counted; one that could not be sent in time is
// given up with a line in the log.
func TestResultsAreCounted(t *testing.T) {
	s, p := mailtest.Start(t), newPost(t)
	results := make(chan mail.Result, 10)
	looks := make(chan int, 1000)
	p.letter("s", "sent")
	m := p.mailer(s.URL(), func(c *mail.Config) {
		c.Done = func(r mail.Result) { results <- r }
		c.Looked = func(n int, oldest time.Time) {
			if (n > 0) != !oldest.IsZero() {
				t.Errorf("%d wait, the oldest since %s", n, oldest)
			}
			looks <- n
		}
	})
	if r := <-results; r != mail.Sent {
		t.Errorf("sent: %s", r)
	}
	s.Refuse("550 5.1.1 no such mailbox")
	p.letter("s", "refused")
	m.Wake()
	if r := <-results; r != mail.Refused {
		t.Errorf("refused: %s", r)
	}
	s.Refuse("451 4.7.1 later, please")
	p.letterFor("s", "late", 300*time.Millisecond)
	m.Wake()
	if r := <-results; r != mail.GivenUp {
		t.Errorf("late: %s", r)
	}
	some := false
	for n := 1; n > 0 || !some; some = some || n > 0 {
		n = <-looks
	}
	if !strings.Contains(p.log(), `msg="mail given up" reason="it could not be sent in time" letters=1`) {
		t.Errorf("logged: %s", p.log())
	}
}

// Several senders of one database send each letter once.
func TestSeveralSenders(t *testing.T) {
	s, p := mailtest.Start(t), newPost(t)
	const letters = 8
	for i := range letters {
		p.letter(fmt.Sprint("letter ", i), "text")
	}
	for range 3 {
		p.mailer(s.URL())
	}
	s.Wait(t, letters)
	p.empty()
	seen := map[string]bool{}
	for _, l := range s.Letters() {
		seen[l.Subject] = true
	}
	if len(seen) != letters || len(s.Letters()) != letters {
		t.Errorf("%d letters, %d different", len(s.Letters()), len(seen))
	}
}

// secured is a server with a certificate for a host that is not this machine, and
// the way there.
func secured(t *testing.T, offer bool) (*mailtest.Server, func(*mail.Config)) {
	t.Helper()
	ca, err := authority.New("mail", time.Now(), "mail.hearth.example")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Issue(time.Now().Add(-time.Minute), time.Now().Add(time.Hour), "mail.hearth.example")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := mailtest.Start(t, func(s *mailtest.Server) {
		s.Password = "open sesame"
		if offer {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		}
	})
	return s, func(c *mail.Config) {
		c.Password, c.Roots = "open sesame", ca.Pool()
		c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Addr())
		}
	}
}

func TestTLSAndPassword(t *testing.T) {
	s, there := secured(t, true)
	p := newPost(t)
	m := p.mailer("smtp://cardea@mail.hearth.example", there)
	p.letter("s", "text")
	m.Wake()
	if l := s.Wait(t, 1); !l.TLS || l.User != "cardea" {
		t.Errorf("letter = %+v", l)
	}
}

// failures waits until so many tries to reach the server were logged.
func (p *post) failures(n int) {
	for strings.Count(p.log(), "mail server not reached") < n {
		time.Sleep(time.Millisecond)
	}
}

// Without TLS, or with another's certificate, nothing is sent to another machine,
// the password least of all.
func TestNothingGoesInClear(t *testing.T) {
	for name, url := range map[string]string{"no TLS": "smtp://cardea@mail.hearth.example", "another's certificate": "smtp://cardea@mail.evil.example"} {
		t.Run(name, func(t *testing.T) {
			s, there := secured(t, name != "no TLS")
			p := newPost(t)
			m := p.mailer(url, there)
			p.letter("s", "text")
			m.Wake()
			p.failures(1)
			if n := len(s.Letters()); n != 0 || s.Asked() != 0 || strings.Contains(p.log(), "sesame") {
				t.Errorf("%d letters, log: %s", n, p.log())
			}
		})
	}
}

func TestConfigurationThatCanNotWork(t *testing.T) {
	for _, c := range []mail.Config{
		{URL: "", From: "a@example.com"},
		{URL: "mail.example.com:25", From: "a@example.com"},
		{URL: "http://mail.example.com", From: "a@example.com"},
		{URL: "smtp://mail.example.com/path", From: "a@example.com"},
		{URL: "smtp://user@mail.example.com", From: "a@example.com"}, // no password
		{URL: "smtp://mail.example.com", From: "nobody"},
		{URL: "smtp://mail.example.com", From: ""},
	} {
		if _, err := mail.New(c); err == nil {
			t.Errorf("%s from %q is taken", c.URL, c.From)
		}
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	if text := fmt.Sprintf("%v %+v %#v", mail.Secret("sesame"), mail.Config{Password: "sesame"}, mail.Config{Password: "sesame"}); strings.Contains(text, "sesame") {
		t.Error(text)
	}
}
