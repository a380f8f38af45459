package localapi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/localapi"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// code is the code of a refusal, or the error itself.
func code(err error) string {
	if refusal, ok := errors.AsType[*client.Error](err); ok {
		return refusal.Code
	}
	return fmt.Sprint(err)
}

func TestStatus(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Program != "everything" || len(st.Entitlements) != len(programs.Entitlements) || st.Device != deviceID ||
		st.Link != h.link || !slices.Equal(st.Links, []cardea.LinkID{h.link}) || st.Issuer != "https://id.example" ||
		st.Bar != "" || st.Clock != cardea.ClockSynced || st.Pending != 0 || !st.Connected || st.Generation != 7 {
		t.Errorf("%+v", st)
	}
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"}); err != nil {
		t.Fatal(err)
	}
	h.change(func() { h.now.Synced = false })
	if st, _ = c.Status(t.Context()); st.Pending != 1 || st.Clock != cardea.ClockUntrusted || st.Generation != 9 {
		t.Errorf("%+v", st)
	}
}

func TestDecide(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	for _, q := range []struct {
		key     cardea.Key
		use     cardea.Use
		verdict cardea.Verdict
		reason  cardea.Reason
	}{
		{"recommendations/use", "", cardea.Allow, cardea.ReasonGranted},
		{"recommendations/use", cardea.UseEgress, cardea.Allow, cardea.ReasonGranted},
		{"voice/use", cardea.UseCollect, cardea.Deny, cardea.ReasonNotAsked},
		{"never_heard_of/sale", cardea.UseLocal, cardea.Deny, cardea.ReasonUnknown},
	} {
		a, err := c.Decide(t.Context(), q.key, q.use)
		if err != nil {
			t.Fatal(err)
		}
		if a.Key != q.key || a.Verdict != q.verdict || a.Reason != q.reason || a.Generation != 7 ||
			a.Allowed() != (q.verdict == cardea.Allow) || a.Allowed() != (a.Left() == time.Hour) {
			t.Errorf("%s %s: %+v", q.key, q.use, a)
		}
	}
	all, err := c.DecideAll(t.Context(), cardea.Query{Key: "voice/use"}, cardea.Query{Key: "recommendations/use", Use: cardea.UseEgress})
	if err != nil || len(all.Answers) != 2 || all.Answers[0].Allowed() || !all.Answers[1].Allowed() || all.Answers[1].Use != cardea.UseEgress {
		t.Errorf("%+v, %v", all, err)
	}
}

// A stop is in force when the call returns, and a yes after it counts on what
// was shown.
func TestWithdrawAndAllow(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	stopped, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "recommendations/use"})
	if err != nil || !stopped.Stopped || stopped.Generation != 8 {
		t.Fatalf("%+v, %v", stopped, err)
	}
	a, err := c.Decide(t.Context(), "recommendations/use", "")
	if err != nil || a.Allowed() || a.Reason != cardea.ReasonWithdrawn || a.Generation != 8 {
		t.Errorf("%+v, %v", a, err)
	}
	shown, err := c.Consents(t.Context())
	if err != nil || shown.Generation != 8 || shown.Head.Seq != 9 || len(shown.Consents) != 2 {
		t.Fatalf("%+v, %v", shown, err)
	}
	if s := shown.Consents[0]; s.Key != "recommendations/use" || s.Verdict != cardea.Deny || s.Own != cardea.ActDeny || s.Version != 3 || s.Class != cardea.ClassC {
		t.Errorf("%+v", s)
	}
	noted, err := c.Allow(t.Context(), client.Grant{Key: "recommendations/use", Version: 3, Notice: cardea.Hash{1}, Head: &cardea.Position{Era: 1, Seq: 5}})
	if err != nil || !noted.Pending || noted.Generation != 9 {
		t.Errorf("%+v, %v", noted, err)
	}
	// A key the device was never told of is denied all the same.
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "new_thing/sale", Reach: cardea.ReachEverywhere, Head: &cardea.Position{Seq: 3}}); err != nil {
		t.Error(err)
	}
	want := []string{
		"withdraw recommendations/use  device from 9", "allow recommendations/use  device from 5", "withdraw new_thing/sale  everywhere from 3",
	}
	if acts := h.acts(); !slices.Equal(acts, want) {
		t.Errorf("done: %q", acts)
	}
}

func TestPreferences(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	if _, err := c.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: json.RawMessage(" 2.2e1 ")}); err != nil {
		t.Fatal(err)
	}
	p, err := c.Preferences(t.Context())
	if err != nil || p.Generation != 8 || p.Head.Seq != 9 {
		t.Fatalf("%+v, %v", p, err)
	}
	if text, _ := json.Marshal(p.Preferences); string(text) != `[{"key":"language","value":"de","source":"default"},{"key":"voice_speed","value":22,"source":"device"}]` {
		t.Errorf("what was set here does not stand: %s", text)
	}
	if acts := h.acts(); !slices.Equal(acts, []string{"prefer voice_speed 22 device from 9"}) {
		t.Errorf("done: %q", acts)
	}
}

func TestIdentityAndToken(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	who, err := c.Identity(t.Context())
	if err != nil || who.Name != "Ada" || who.Subject != "sub-1" || who.Link != h.link {
		t.Errorf("%+v, %v", who, err)
	}
	token, err := c.Token(t.Context(), client.TokenRequest{Audience: "https://api.example", Scope: "play", MinValid: 60})
	if err != nil || token.AccessToken.Reveal() != "for https://api.example play" || token.TokenType != "DPoP" || token.ExpiresIn != 600 || token.Link != h.link {
		t.Errorf("%+v, %v", token, err)
	}
	if strings.Contains(h.logged(), "play") || strings.Contains(h.logged(), "Ada") {
		t.Errorf("the log tells too much:\n%s", h.logged())
	}
}

// A program that sends a token bound to the device's key gets the proof for its
// request with it.
func TestProof(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [\"token\"]\naudiences = [\"https://api.example\"]", os.Getuid()))
	c := h.client(t)
	ask := func(audience string, r client.Request) (client.Token, error) {
		return c.Token(t.Context(), client.TokenRequest{Audience: audience, Request: &r})
	}
	good := client.Request{Method: "GET", URL: "https://api.example/songs?of=ada", Nonce: "n-1"}
	token, err := ask("https://api.example", good)
	if want := "GET https://api.example/songs?of=ada n-1 with for https://api.example  at https://api.example"; err != nil || token.DPoP.Reveal() != want {
		t.Errorf("%q, %v", token.DPoP.Reveal(), err)
	}
	if token, err := c.Token(t.Context(), client.TokenRequest{Audience: "https://api.example"}); err != nil || token.DPoP != "" {
		t.Errorf("not asked for: %q, %v", token.DPoP.Reveal(), err)
	}
	if _, err := ask("https://bank.example", good); code(err) != "not_entitled" {
		t.Errorf("for an audience that is not the program's: %v", err)
	}
	for _, bad := range []client.Request{
		{}, {Method: "get", URL: good.URL}, {Method: "GET /", URL: good.URL}, {Method: "GET", URL: strings.Repeat("u", 3<<10)},
		{Method: "GET", URL: good.URL, Nonce: "a\r\nb"}, {Method: "GET", URL: good.URL, Nonce: strings.Repeat("n", 513)},
	} {
		if _, err := ask("https://api.example", bad); code(err) != "invalid_request" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	h.proofErr = session.ErrRequest
	if _, err := ask("https://api.example", good); code(err) != "invalid_target" {
		t.Errorf("a request nobody may make: %v", err)
	}
	if strings.Contains(h.logged(), "songs") || strings.Contains(h.logged(), "n-1") {
		t.Errorf("the log tells too much:\n%s", h.logged())
	}
}

// A server's refusal, its silence and a fault of ours are told apart.
func TestTokenFaults(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	for want, err := range map[string]error{
		"invalid_grant":  &pairing.Error{Code: pairing.InvalidGrant, Description: "revoked", Status: 400},
		"invalid_target": session.ErrAudience,
		"issuer":         session.ErrIssuer,
		"offline":        fmt.Errorf("refresh: %w", session.ErrOffline),
		"server_error":   errors.New("a pipe broke at /var/lib"),
		"guest":          localapi.ErrGuest,
	} {
		h.tokenErr = err
		_, got := c.Token(t.Context(), client.TokenRequest{Audience: "a"})
		if code(got) != want || strings.Contains(got.Error(), "/var/lib") {
			t.Errorf("%v is told as %v", err, got)
		}
	}
	h.tokenErr = fmt.Errorf("%w: %w", session.ErrOffline, &tls.CertificateVerificationError{Err: errors.New("look at ca_file")})
	if _, got := c.Token(t.Context(), client.TokenRequest{Audience: "a"}); code(got) != "offline" || !strings.Contains(got.Error(), "not trusted: look at ca_file") {
		t.Errorf("a server nobody vouches for is told as %v", got)
	}
	h.tokenErr = &pairing.Error{Code: pairing.ServerError, Status: 502}
	if _, got := c.Token(t.Context(), client.TokenRequest{Audience: "a"}); code(got) != "offline" {
		t.Errorf("a failing server is told as %v", got)
	}
}

func TestPairing(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	if p, err := c.Pairing(t.Context()); err != nil || p.State != client.PairNone {
		t.Errorf("%+v, %v", p, err)
	}
	p, err := c.Pair(t.Context())
	if err != nil || p.State != client.PairPending || p.UserCode != "WDJB-MJHT" || p.ExpiresIn != 600 {
		t.Errorf("%+v, %v", p, err)
	}
	image, err := c.QRImage(t.Context(), 256)
	if err != nil {
		t.Fatal(err)
	}
	if decoded, err := png.Decode(bytes.NewReader(image)); err != nil || decoded.Bounds().Dx() != 256 {
		t.Errorf("the picture: %v", err)
	}
	dark, err1 := c.QRText(t.Context(), true)
	light, err2 := c.QRText(t.Context(), false)
	if err1 != nil || err2 != nil || dark == light || !strings.Contains(dark, "█") {
		t.Errorf("%v %v\n%s", err1, err2, dark)
	}
	if p, err := c.CancelPairing(t.Context()); err != nil || p.State != client.PairNone {
		t.Errorf("%+v, %v", p, err)
	}
	h.pairing = client.Pairing{State: client.PairLinked, Link: h.link}
	if p, err := c.Pairing(t.Context()); err != nil || p.State != client.PairLinked || p.Link != h.link {
		t.Errorf("%+v, %v", p, err)
	}
	h.pairing.Link = cardea.NewID[cardea.LinkID]() // gone since
	if p, err := c.Pairing(t.Context()); err != nil || p.State != client.PairNone || !p.Link.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}
	h.broken = session.ErrOffline
	if _, err := c.Pair(t.Context()); code(err) != "offline" {
		t.Errorf("without a server: %v", err)
	}
	if strings.Contains(h.logged(), "WDJB") {
		t.Error("the code is in the log")
	}
}

// Whoever is not linked is a guest: nothing is given, nothing is broken.
func TestGuest(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	if u, err := c.Unlink(t.Context(), h.link); err != nil || !u.Unlinked || u.Generation != 8 {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, err := c.Unlink(t.Context(), h.link); code(err) != "unknown_link" {
		t.Errorf("twice: %v", err)
	}
	if a, err := c.Decide(t.Context(), "recommendations/use", ""); err != nil || a.Allowed() || a.Reason != cardea.ReasonGuest {
		t.Errorf("%+v, %v", a, err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.Bar != cardea.ReasonGuest || len(st.Links) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	_, err1 := c.Identity(t.Context())
	_, err2 := c.Consents(t.Context())
	_, err3 := c.Preferences(t.Context())
	_, err4 := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"})
	_, err5 := c.Token(t.Context(), client.TokenRequest{Audience: "a"})
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if code(err) != "guest" || !strings.Contains(err.Error(), "POST /v1/pair") {
			t.Errorf("a guest is told %v", err)
		}
	}
}

// A fault of the store is no refusal, and what failed is not said to be done.
func TestStoreFaults(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	h.broken = errors.New("disk full at /var/lib")
	_, err1 := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"})
	_, err2 := c.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: json.RawMessage("1")})
	for _, err := range []error{err1, err2} {
		if code(err) != "server_error" || strings.Contains(err.Error(), "disk") {
			t.Errorf("told: %v", err)
		}
	}
	if !strings.Contains(h.logged(), "disk full") {
		t.Error("the operator is not told")
	}
	for want, err := range map[string]error{"store": devicedb.ErrDamaged, "full": syncer.ErrFull, "invalid_request": syncer.ErrInvalid} {
		h.broken = fmt.Errorf("decide: %w", err)
		if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"}); code(err) != want {
			t.Errorf("told: %v, want %s", err, want)
		}
	}
}

// One user's connections can not shut out everybody else.
func TestConnectionsAreBounded(t *testing.T) {
	h := newHouse(t)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	refused := 0
	for range 80 {
		c, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	for _, c := range open {
		fmt.Fprintf(c, "GET /v1/status HTTP/1.1\r\nHost: cardea\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			refused++
		}
	}
	if refused != 80-64 {
		t.Errorf("%d of 80 refused", refused)
	}
	for _, c := range open {
		c.Close()
	}
	// What was closed is free again.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for c := h.client(t); ; {
		if _, err := c.Status(ctx); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the places are not free again")
		}
	}
}

func TestEmptyHostIsTheAgents(t *testing.T) {
	h := newHouse(t)
	c, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /v1/status HTTP/1.1\r\nHost:\r\n\r\n")
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	line := make([]byte, 15)
	if _, err := c.Read(line); err != nil || string(line) != "HTTP/1.1 200 OK" {
		t.Errorf("%q, %v", line, err)
	}
}

func BenchmarkDecide(b *testing.B) {
	h := newHouse(b)
	ctx := b.Context()
	b.Run("client", func(b *testing.B) {
		c := h.client(b)
		spread(b, func() {
			if a, err := c.Decide(ctx, "recommendations/use", ""); err != nil || !a.Allowed() {
				b.Fatal(a, err)
			}
		})
	})
	b.Run("raw", func(b *testing.B) {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		question := `{"key":"recommendations/use"}`
		request := fmt.Appendf(nil, "POST /v1/decide HTTP/1.1\r\nHost: cardea\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(question), question)
		answer := make([]byte, 4096)
		var n int
		spread(b, func() {
			if _, err := conn.Write(request); err != nil {
				b.Fatal(err)
			}
			if n, err = conn.Read(answer); err != nil || !bytes.Contains(answer[:n], []byte(`"allow"`)) {
				b.Fatal(err)
			}
		})
		b.ReportMetric(float64(len(request)), "B/request")
		b.ReportMetric(float64(n), "B/answer")
	})
}

// spread runs f and reports where most calls and nearly all calls lie.
func spread(b *testing.B, f func()) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		f()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
}
