package desk_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// sessions is one session, until it has ended.
type sessions struct {
	desk.Sessions
	account cardea.AccountID
	ended   atomic.Bool
}

func (s *sessions) Session(context.Context, cardea.Hash) (accountdb.Session, error) {
	if s.ended.Load() {
		return accountdb.Session{}, accountdb.ErrNotFound
	}
	return accountdb.Session{Account: s.account}, nil
}

// A street is a desk behind a real server, with the deadlines of the cloud's.
type street struct {
	*testing.T
	desk *desk.Desk
	who  *sessions
	url  string
}

func openStreet(t *testing.T) *street {
	t.Helper()
	s := &street{T: t, who: &sessions{account: cardea.NewID[cardea.AccountID]()}}
	s.desk = desk.New(&url.URL{Scheme: "http", Host: "cardea.test"}, brand.Brand{}, s.who, nil, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.desk.Stream))
	server.Config.ReadTimeout = 100 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(s.desk.Live.Close)
	s.url = server.URL
	return s
}

// open opens a stream and reads its first line.
func (s *street) open() (status int, lines *bufio.Scanner) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), "GET", s.url+"/live", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "cardea_session", Value: strings.Repeat("A", 43)})
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { res.Body.Close() })
	lines = bufio.NewScanner(res.Body)
	if res.StatusCode == http.StatusOK {
		if lines.Scan(); lines.Text() != "retry: 5000" {
			s.Errorf("opens with %q", lines.Text())
		}
	}
	return res.StatusCode, lines
}

// next is the next event's name, or nothing at the end.
func next(lines *bufio.Scanner) string {
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			return name
		}
	}
	return ""
}

func TestLiveSaysThatSomethingChanged(t *testing.T) {
	s := openStreet(t)
	status, lines := s.open()
	if status != http.StatusOK {
		t.Fatal(status)
	}
	time.AfterFunc(300*time.Millisecond, func() { // later than the server waits for a request
		s.desk.Live.Changed(desk.StreamOf(cardea.NewID[cardea.AccountID]())) // somebody else's
		s.desk.Live.Changed(desk.StreamOf(s.who.account))
	})
	if got := next(lines); got != "changed" {
		t.Errorf("said %q", got)
	}
	s.desk.Live.Close()
	if got := next(lines); got != "" {
		t.Errorf("after the cloud has ended: %q", got)
	}
	if status, _ := s.open(); status != http.StatusServiceUnavailable {
		t.Errorf("opened after the end: %d", status)
	}
}

// TestLiveEndsWithTheSession: and whoever comes back is told not to.
func TestLiveEndsWithTheSession(t *testing.T) {
	s := openStreet(t)
	_, lines := s.open()
	s.who.ended.Store(true)
	s.desk.Live.Changed(desk.StreamOf(s.who.account))
	if got := next(lines); got != "" {
		t.Errorf("a session that is over was told %q", got)
	}
	if status, _ := s.open(); status != http.StatusNoContent {
		t.Errorf("came back: %d", status)
	}
}

// TestLiveIsBounded: one owner can not hold every connection there is, and a
// stream that has ended leaves its place.
func TestLiveIsBounded(t *testing.T) {
	s := openStreet(t)
	var all []*bufio.Scanner
	for range desk.MaxStreamsOfOne {
		status, lines := s.open()
		if status != http.StatusOK {
			t.Fatal(status)
		}
		all = append(all, lines)
	}
	if status, _ := s.open(); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", status)
	}
	s.who.ended.Store(true)
	s.desk.Live.Changed(desk.StreamOf(s.who.account))
	for _, lines := range all {
		next(lines)
	}
	s.who.ended.Store(false)
	if status, _ := s.open(); status != http.StatusOK {
		t.Errorf("after all have ended: %d", status)
	}
}
