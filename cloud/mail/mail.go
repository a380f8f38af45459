// Package mail sends the letters that wait in the database to owners, over SMTP.
//
// What it promises:
//
//   - A letter that was queued in a transaction that was committed is sent, or
//     tried until its time is over, whenever a cloud dies; a mail server that is
//     away loses nothing and keeps nobody waiting. It may be sent twice, under one
//     Message-ID, if a cloud dies between sending it and noting so. What is given
//     up is logged and counted.
//   - Several clouds of one database may send at once: each letter is taken by one.
//   - Nothing goes to another machine without TLS, and a server's certificate is
//     checked. No address and no text is logged.
//
// It is the only importer of the library for mail.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	smtp "github.com/wneessen/go-mail"

	"github.com/cardea-id/cardea/store/accountdb"
)

// Config is where mail goes.
type Config struct {
	// URL is the server that takes mail: "smtp://user@mail.example.com:587", with
	// STARTTLS, or "smtps://…:465". On this very machine TLS may be missing.
	URL string
	// Password is the user's there. Empty: nobody signs in.
	Password Secret
	// From is the sender: "Hearth <hello@hearth.example>".
	From string
	// Roots vouch for the server. Nil: those of the system.
	Roots *x509.CertPool
	// Dial reaches the server. Nil: over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Pause is how long a letter waits after the first failure, and then twice as
	// long each time; and how often letters are looked for that other clouds queued.
	// Zero is 5 seconds.
	Pause time.Duration

	// Done is told what became of each letter, and Looked how many wait and since
	// when the oldest does; zero: none waits. Nil: nobody counts.
	Done   func(Result)
	Looked func(waiting int, oldest time.Time)

	DB  *accountdb.DB
	Log *slog.Logger
}

// A Result is what became of a letter.
type Result string

// The results. All but the first are letters that nobody will read.
const (
	Sent    Result = "sent"
	Refused Result = "refused"  // its mailbox will never take it
	GivenUp Result = "given_up" // it could not be sent in time
	Erased  Result = "erased"   // its account is no more
	Broken  Result = "broken"   // it is no letter: a fault of ours
)

// A Secret prints as "redacted".
type Secret string

func (Secret) String() string { return "redacted" }

// GoString keeps %#v from printing the secret.
func (Secret) GoString() string { return "redacted" }

const (
	sendLimit = 20 * time.Second // for one letter, all told
	claimed   = time.Minute      // how long a letter is one sender's: longer than sendLimit
	mostWait  = 10 * time.Minute // between two tries
)

// A Mailer sends. It is safe for concurrent use.
type Mailer struct {
	db     *accountdb.DB
	log    *slog.Logger
	client *smtp.Client
	from   *netmail.Address
	pause  time.Duration
	wake   chan struct{}
	done   func(Result)
	looked func(int, time.Time)
}

// New checks the configuration. The server itself is asked when there is mail, so
// that one that is away keeps no cloud from starting.
func New(c Config) (*Mailer, error) {
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("from: want an address such as \"Hearth <hello@example.com>\", got %.200q", c.From)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || u.Path != "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, fmt.Errorf("url: want \"smtp://user@mail.example.com:587\" or \"smtps://user@mail.example.com:465\"")
	}
	options, err := c.options(u)
	if err != nil {
		return nil, err
	}
	client, err := smtp.NewClient(u.Hostname(), options...)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Pause == 0 {
		c.Pause = 5 * time.Second
	}
	if c.Done == nil {
		c.Done = func(Result) {}
	}
	if c.Looked == nil {
		c.Looked = func(int, time.Time) {}
	}
	return &Mailer{db: c.DB, log: c.Log, client: client, from: from, pause: c.Pause, wake: make(chan struct{}, 1), done: c.Done, looked: c.Looked}, nil
}

func (c Config) options(u *url.URL) ([]smtp.Option, error) {
	port := map[string]int{"smtp": 587, "smtps": 465}[u.Scheme]
	if text := u.Port(); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("url: port: %w", err)
		}
		port = n
	}
	options := []smtp.Option{
		smtp.WithPort(port), smtp.WithTimeout(sendLimit),
		smtp.WithTLSConfig(&tls.Config{ServerName: u.Hostname(), RootCAs: c.Roots, MinVersion: tls.VersionTLS12}),
	}
	switch {
	case u.Scheme == "smtps":
		options = append(options, smtp.WithSSL())
	case here(u.Hostname()):
		options = append(options, smtp.WithTLSPolicy(smtp.TLSOpportunistic))
	default:
		options = append(options, smtp.WithTLSPolicy(smtp.TLSMandatory)) // RFC 3207
	}
	if c.Dial != nil {
		options = append(options, smtp.WithDialContextFunc(c.Dial))
	}
	if u.User == nil {
		return options, nil
	}
	if c.Password == "" {
		return nil, errors.New("url: it names a user, so password_file is needed")
	}
	return append(options, smtp.WithUsername(u.User.Username()), smtp.WithPassword(string(c.Password)), smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover)), nil
}

// here reports whether a host is this machine.
func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Wake has letters looked for at once. It never waits.
func (m *Mailer) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends.
func (m *Mailer) Run(ctx context.Context) {
	tick := time.NewTicker(m.pause)
	defer tick.Stop()
	for {
		for m.next(ctx) {
		}
		m.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.wake:
		}
	}
}

// look gives up what is past its time and counts what waits.
func (m *Mailer) look(ctx context.Context) {
	var late int
	var bag accountdb.Mailbag
	err := m.db.Update(ctx, func(tx *accountdb.Tx) (err error) {
		if late, err = tx.GiveUpMail(); err != nil {
			return err
		}
		bag, err = tx.Mailbag()
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			m.log.ErrorContext(ctx, "mail not counted", "err", err)
		}
		return
	}
	if late > 0 {
		m.log.ErrorContext(ctx, "mail given up", "reason", "it could not be sent in time", "letters", late)
	}
	for range late {
		m.done(GivenUp)
	}
	var oldest time.Time
	if bag.Waiting > 0 {
		oldest = bag.Oldest.Time()
	}
	m.looked(bag.Waiting, oldest)
}

// next sends one letter and reports whether to look for another.
func (m *Mailer) next(ctx context.Context) bool {
	var q accountdb.Queued
	err := m.db.Update(ctx, func(tx *accountdb.Tx) (err error) {
		q, err = tx.ClaimMail(claimed)
		return err
	})
	switch {
	case errors.Is(err, accountdb.ErrClaimed):
		return true
	case errors.Is(err, accountdb.ErrNotFound), ctx.Err() != nil:
		return false
	case err != nil:
		m.log.ErrorContext(ctx, "mail not looked for", "err", err)
		return false
	}
	// What was sent is noted even if the cloud is just being stopped.
	result := m.send(ctx, q)
	err = m.db.Update(context.WithoutCancel(ctx), func(tx *accountdb.Tx) error {
		if result == failed {
			return tx.MailFailed(q.ID, m.wait(q.Tries))
		}
		return tx.MailSent(q.ID)
	})
	if err != nil {
		m.log.ErrorContext(ctx, "mail not noted", "err", err)
	}
	if result == failed || err != nil {
		return false
	}
	m.done(result)
	return true
}

// wait is how long to wait before the next try, not the same for all.
func (m *Mailer) wait(tries int) time.Duration {
	wait := min(m.pause<<min(tries, 16), mostWait)
	return wait/2 + rand.N(wait/2)
}

// failed is what a try comes to that is made again.
const failed Result = ""

func (m *Mailer) send(ctx context.Context, q accountdb.Queued) Result {
	if q.To == "" {
		return Erased
	}
	letter, err := m.letter(q)
	if err != nil {
		m.log.ErrorContext(ctx, "mail given up", "reason", "the letter is none")
		return Broken
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	err = m.client.DialAndSendWithContext(ctx, letter)
	refused, ok := errors.AsType[*smtp.SendError](err)
	switch {
	case err == nil || letter.IsDelivered(): // what fails after that is no matter
		return Sent
	case !ok: // it was not reached, or does not let us in
		m.log.WarnContext(ctx, "mail server not reached", "tries", q.Tries+1, "err", err)
		return failed
	}
	// The error's own text names the recipient.
	m.log.WarnContext(ctx, "mail refused", "tries", q.Tries+1, "when", refused.Reason.String(), "code", refused.ErrorCode(), "status", refused.EnhancedStatusCode())
	if code := refused.ErrorCode(); refused.Reason == smtp.ErrSMTPRcptTo && code >= 500 || refused.Reason == smtp.ErrSMTPDataClose && code >= 500 {
		return Refused // RFC 5321, Section 4.2.1: the same again does not help
	}
	return failed
}

// letter is a mail as it is sent.
func (m *Mailer) letter(q accountdb.Queued) (*smtp.Msg, error) {
	l := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	l.FromMailAddress(m.from)
	if err := l.To(q.To); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(m.from.Address, "@")
	l.SetMessageIDWithValue(q.ID.String() + "@" + domain)
	l.SetDate()
	l.Subject(oneLine(q.Subject))
	l.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, Section 5.1
	l.SetBodyString(smtp.TypeTextPlain, q.Text)
	return l, nil
}

// oneLine keeps a subject from becoming other headers.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
