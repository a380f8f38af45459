// Package mailtest is a mail server for tests: it takes letters over SMTP as a
// real one does, with STARTTLS and a user's password if it has them, and shows
// what it took. It can go away and come back, and refuse.
package mailtest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A Letter is one that was taken.
type Letter struct {
	To      string // of the envelope
	Header  mail.Header
	Subject string
	Text    string
	TLS     bool   // it came over TLS
	User    string // who signed in
}

// A Server takes letters. Its fields are set before it is used.
type Server struct {
	// TLS offers STARTTLS. Nil: it does not.
	TLS *tls.Config
	// Password, if it is set, is wanted of everybody.
	Password string

	addr    string
	mu      sync.Mutex
	door    net.Listener // nil: it is away
	open    map[net.Conn]bool
	letters []Letter
	refuse  string
	asked   int
	news    chan struct{} // closed at the next letter or refusal
}

// Start makes a server that runs until the test ends.
func Start(t testing.TB, change ...func(*Server)) *Server {
	t.Helper()
	s, err := New(change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Down)
	return s
}

// New makes a server that runs until it is taken down.
func New(change ...func(*Server)) (*Server, error) {
	s := &Server{addr: "127.0.0.1:0", open: map[net.Conn]bool{}, news: make(chan struct{})}
	for _, f := range change {
		f(s)
	}
	return s, s.listen()
}

// URL is where it is, for the user if there is one.
func (s *Server) URL() string {
	if s.Password != "" {
		return "smtp://cardea@" + s.addr
	}
	return "smtp://" + s.addr
}

// Addr is host and port.
func (s *Server) Addr() string { return s.addr }

// Up lets it answer, at the address it had before.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) listen() error {
	door, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.door, s.addr = door, door.Addr().String()
	s.mu.Unlock()
	go s.serve(door)
	return nil
}

// Down takes it away, in the middle of whatever it does.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.door != nil {
		s.door.Close()
	}
	s.door = nil
	for c := range s.open {
		c.Close()
	}
}

// Refuse answers every recipient with a line such as "550 5.1.1 no such mailbox"
// from now on; empty takes them again.
func (s *Server) Refuse(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = line
}

// Letters are those taken so far.
func (s *Server) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.letters...)
}

// Asked is how often a recipient was named, whether or not it was taken.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Wait waits until so many letters were taken, and returns the last of them.
func (s *Server) Wait(t testing.TB, n int) Letter {
	t.Helper()
	s.until(t, func() bool { return len(s.letters) >= n })
	return s.Letters()[n-1]
}

// CodeAfter waits for a code in a letter after the first n, whatever else comes
// among them, and returns it.
func (s *Server) CodeAfter(t testing.TB, n int) (code string) {
	t.Helper()
	s.until(t, func() bool {
		for _, l := range s.letters[min(n, len(s.letters)):] {
			code = l.Code()
			if code != "" {
				return true
			}
		}
		return false
	})
	return code
}

// WaitAsked waits until recipients were named so many times.
func (s *Server) WaitAsked(t testing.TB, n int) {
	t.Helper()
	s.until(t, func() bool { return s.asked >= n })
}

func (s *Server) until(t testing.TB, done func() bool) {
	t.Helper()
	for {
		s.mu.Lock()
		ok, news := done(), s.news
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-t.Context().Done():
			t.Fatal("no mail came")
		}
	}
}

// To is the newest letter to an address, which is waited for.
func (s *Server) To(t testing.TB, address string) (newest Letter) {
	t.Helper()
	s.until(t, func() bool {
		for _, l := range s.letters {
			if l.To == address {
				newest = l
			}
		}
		return newest.To != ""
	})
	return newest
}

var codes = regexp.MustCompile(`\b[0-9]{3} ?[0-9]{3}\b`)

// Code is the six digits in a letter.
func (l Letter) Code() string { return strings.ReplaceAll(codes.FindString(l.Text), " ", "") }

var links = regexp.MustCompile(`https?://\S+`)

// Link is the first address in a letter.
func (l Letter) Link() string { return links.FindString(l.Text) }

func (s *Server) tell(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.news)
	s.news = make(chan struct{})
}

func (s *Server) serve(door net.Listener) {
	for {
		c, err := door.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[c] = true
		s.mu.Unlock()
		go func() {
			(&talk{Server: s, conn: c, in: bufio.NewReader(c)}).run()
			c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		}()
	}
}

// A talk is one connection.
type talk struct {
	*Server
	conn   net.Conn
	in     *bufio.Reader
	letter Letter
}

func (k *talk) say(format string, args ...any) { fmt.Fprintf(k.conn, format+"\r\n", args...) }

func (k *talk) run() {
	k.say("220 mailtest ESMTP")
	for {
		line, err := k.in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !k.answer(strings.ToUpper(verb), rest) {
			return
		}
	}
}

// answer does what one line asks and reports whether to go on.
func (k *talk) answer(verb, rest string) bool {
	switch verb {
	case "EHLO", "HELO":
		k.hello()
	case "STARTTLS":
		k.say("220 go ahead")
		secured := tls.Server(k.conn, k.TLS)
		if secured.Handshake() != nil {
			return false
		}
		k.conn, k.in, k.letter.TLS = secured, bufio.NewReader(secured), true
	case "AUTH":
		k.auth(rest)
	case "MAIL":
		if k.Password != "" && k.letter.User == "" {
			k.say("530 5.7.0 sign in first")
			return true
		}
		k.say("250 ok")
	case "RCPT":
		k.recipient(rest)
	case "DATA":
		return k.data()
	case "QUIT":
		k.say("221 bye")
		return false
	default:
		k.say("250 ok")
	}
	return true
}

func (k *talk) hello() {
	k.say("250-mailtest")
	if k.TLS != nil && !k.letter.TLS {
		k.say("250-STARTTLS")
	}
	if k.Password != "" {
		k.say("250-AUTH PLAIN")
	}
	k.say("250 8BITMIME")
}

// auth is PLAIN (RFC 4616): authorisation, user and password between zeros.
func (k *talk) auth(rest string) {
	_, encoded, _ := strings.Cut(rest, " ")
	plain, _ := base64.StdEncoding.DecodeString(encoded)
	parts := strings.Split(string(plain), "\x00")
	if len(parts) != 3 || parts[2] != k.Password {
		k.say("535 5.7.8 wrong password")
		return
	}
	k.letter.User = parts[1]
	k.say("235 welcome")
}

func (k *talk) recipient(rest string) {
	_, rest, _ = strings.Cut(rest, "<")
	k.letter.To, _, _ = strings.Cut(rest, ">")
	var refuse string
	k.tell(func() { k.asked++; refuse = k.refuse })
	if refuse != "" {
		k.say("%s", refuse)
		return
	}
	k.say("250 ok")
}

func (k *talk) data() bool {
	k.say("354 go ahead")
	var raw strings.Builder
	for {
		line, err := k.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, ".")) // RFC 5321, Section 4.5.2
	}
	if err := k.read(raw.String()); err != nil {
		k.say("554 5.6.0 %v", err)
		return true
	}
	k.tell(func() { k.letters = append(k.letters, k.letter) })
	k.say("250 taken")
	return true
}

// read takes a letter apart as a reader of mail does.
func (k *talk) read(raw string) error {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return err
	}
	k.letter.Header = m.Header
	if k.letter.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return err
	}
	body := m.Body
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(m.Body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, m.Body)
	}
	text, err := io.ReadAll(body)
	k.letter.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	return err
}
