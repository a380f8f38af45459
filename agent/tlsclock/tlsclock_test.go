package tlsclock_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/tlsclock"
	"github.com/cardea-id/cardea/internal/mqttlink"
)

// now is the true time of these tests; the machine's clock has no part.
var now = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

func synced(t time.Time) func(*tlsclock.Config) {
	return func(c *tlsclock.Config) {
		c.Now = func() cardea.Now { return cardea.Now{Time: cardea.MillisOf(t), Synced: true} }
	}
}

// A device built 14 months ago believes that it is 1970; the server's
// certificate is ten days old. It connects, over HTTPS and over MQTT, and hears
// the time. The library alone would refuse.
func TestClock1970NewCertificate(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	cert := ca.leaf(now.Add(-10*day), now.Add(80*day))
	url := serve(t, cert)
	epoch := func() time.Time { return time.Unix(0, 0) }
	if _, err := get(t, url, &tls.Config{RootCAs: ca.pool(), Time: epoch}); err == nil {
		t.Fatal("the library takes a certificate that begins after its clock: the test shows nothing")
	}
	c := ca.device(now.Add(-430 * day)) // also older than the authority itself
	config := c.TLS("127.0.0.1")
	config.Time = epoch
	state, err := get(t, url, config)
	if err != nil {
		t.Fatalf("a device without a clock is locked out: %v", err)
	}
	if err := c.Believe(tlsclock.Answer{Time: cardea.MillisOf(now), TLS: state}); err != nil {
		t.Errorf("the first time it hears: %v", err)
	}
	if got := c.LastKnownGood(); !got.Equal(now) {
		t.Errorf("the last known time is %s, want %s", got, now)
	}
	config = c.TLS("127.0.0.1")
	config.Time = epoch
	if err := connect(t, cert, config); err != nil {
		t.Errorf("over MQTT: %v", err)
	}
}

// connect has mqttlink connect to a server that answers the handshake and no
// more.
func connect(t *testing.T, cert tls.Certificate, config *tls.Config) error {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	result := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, 1)) // the first byte after the handshake
			conn.Close()
		}
		result <- err
	}()
	c := mqttlink.New(mqttlink.Config{
		URL: "tls://" + l.Addr().String(), Device: "dev", Subscribe: "down", TLS: config,
		Password: func(context.Context, bool) (string, error) { return "right", nil },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	return <-result
}

func TestWhatIsRefusedWithoutAClock(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	built := now.Add(-100 * day)
	for name, c := range map[string]struct {
		cert   tls.Certificate
		signer *authority
		host   string
	}{
		"ended before it was built":           {cert: ca.leaf(built.Add(-90*day), built.Add(-time.Second))},
		"another authority":                   {cert: newAuthority(t, now.Add(-400*day), now.Add(400*day)).leaf(now.Add(-day), now.Add(day))},
		"begins when its authority has ended": {cert: ca.leaf(now.Add(401*day), now.Add(500*day))},
		"another name":                        {cert: ca.leaf(now.Add(-day), now.Add(day)), host: "other.example"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.host == "" {
				c.host = "127.0.0.1"
			}
			_, err := get(t, serve(t, c.cert), ca.device(built).TLS(c.host))
			if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Errorf("connected: %v", err)
			}
		})
	}
}

// An address without a name must not slip through as a name that is not checked.
func TestTheNameIsAlwaysChecked(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	url := serve(t, ca.leaf(now.Add(-day), now.Add(day)))
	if _, err := get(t, url, ca.device(now).TLS("")); err == nil {
		t.Error("connected to an address nobody named")
	}
	config := ca.device(now).TLS("127.0.0.1")
	config.ServerName = "other.example"
	if _, err := get(t, url, config); err == nil {
		t.Error("connected to a server of another name")
	}
	config.ServerName = "id.example"
	if _, err := get(t, url, config); err != nil {
		t.Errorf("by its name: %v", err)
	}
}

// Once the time is known certificates are judged by it and nothing else.
func TestWithAClock(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	built := now.Add(-100 * day)
	for name, c := range map[string]struct {
		from, to time.Time
		good     bool
	}{
		"valid":         {now.Add(-day), now.Add(day), true},
		"ended":         {now.Add(-10 * day), now.Add(-time.Second), false},
		"not yet begun": {now.Add(time.Second), now.Add(day), false},
	} {
		_, err := get(t, serve(t, ca.leaf(c.from, c.to)), ca.device(built, synced(now)).TLS("127.0.0.1"))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One answer says 2036. A device that knows the time, one that does not, and
// one that hears it twice over one connection all stay with what they know, and
// the next certificate is good to them, also after a reboot.
func TestOneSecondFrom2036(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(9999*day))
	path := filepath.Join(t.TempDir(), "good")
	keep := func(c *tlsclock.Config) { c.Path = path }
	url := serve(t, ca.leaf(now.Add(-10*day), now.Add(80*day)))
	wrong := cardea.MillisOf(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC))
	built := now.Add(-100 * day)

	c := ca.device(built, keep)
	state, err := get(t, url, c.TLS("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Believe(tlsclock.Answer{Time: wrong, TLS: state}); !errors.Is(err, tlsclock.ErrOutside) {
		t.Errorf("the first answer is of 2036: %v", err)
	}
	if err := c.Believe(tlsclock.Answer{Time: cardea.MillisOf(now), TLS: state}); err != nil {
		t.Errorf("the right time after it: %v", err)
	}
	known := cardea.Now{Time: cardea.MillisOf(now), Synced: true}
	for range 3 {
		if err := c.Believe(tlsclock.Answer{Time: wrong, Known: known, TLS: state}); !errors.Is(err, tlsclock.ErrOutside) {
			t.Errorf("an answer of 2036 to a device that knows better: %v", err)
		}
	}

	again := ca.device(built, keep) // rebooted
	if got := again.LastKnownGood(); !got.Equal(now) {
		t.Errorf("after a reboot the last known time is %s, want %s", got, now)
	}
	next := serve(t, ca.leaf(now.Add(30*day), now.Add(120*day)))
	if _, err := get(t, next, again.TLS("127.0.0.1")); err != nil {
		t.Errorf("the next certificate: %v", err)
	}
}

// Where certificates last for decades or there is none, a time far ahead must
// come twice, over two connections, and agree.
func TestFarAheadMustComeTwice(t *testing.T) {
	known := cardea.Now{Time: cardea.MillisOf(now), Synced: true}
	ahead := known.Time.Add(2 * day)
	one, two := new(tls.ConnectionState), new(tls.ConnectionState)
	one.Version, two.Version = tls.VersionTLS12, tls.VersionTLS13 // two variables, not one
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	c := ca.device(now.Add(-100 * day))
	step := func(at cardea.Millis, conn *tls.ConnectionState, want error) {
		t.Helper()
		if err := c.Believe(tlsclock.Answer{Time: at, Sent: time.Hour, Known: known, TLS: conn}); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", at.Time(), err, want)
		}
	}
	step(ahead, one, tlsclock.ErrAhead)
	step(ahead, one, tlsclock.ErrAhead)                  // the same connection proves nothing
	step(ahead.Add(3*time.Hour), two, tlsclock.ErrAhead) // another time
	step(ahead.Add(3*time.Hour), one, nil)
	step(known.Time.Add(-10*day), one, nil) // back goes at once
	step(ahead, one, tlsclock.ErrAhead)
	step(known.Time, two, nil)
	step(ahead, two, tlsclock.ErrAhead) // the right time in between has cleared the suspicion
	step(ahead, nil, nil)               // over plain TCP there are no connections to tell apart
}

// The last known time may go back, though not to before the program was built,
// and the disk is left alone until it has moved by more than a day.
func TestLastKnownGood(t *testing.T) {
	built := now.Add(-100 * day)
	path := filepath.Join(t.TempDir(), "good")
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	keep := func(c *tlsclock.Config) { c.Path = path }
	c := ca.device(built, keep)
	believe := func(at time.Time, other bool) {
		t.Helper()
		if err := c.Believe(tlsclock.Answer{Time: cardea.MillisOf(at), Other: other}); err != nil {
			t.Fatal(err)
		}
	}
	stands := func(want time.Time) {
		t.Helper()
		if got := ca.device(built, keep).LastKnownGood(); !got.Equal(want) {
			t.Errorf("on the disk stands %s, want %s", got, want)
		}
	}
	believe(now.Add(-day), true) // another cloud's
	stands(built)
	believe(now, false)
	stands(now)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for h := range 24 {
		believe(now.Add(time.Duration(h)*time.Hour), false)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a day of answers wrote to the disk: %v", err)
	}
	believe(now.Add(-30*day), false)
	stands(now.Add(-30 * day))
	believe(built.Add(-day), false)
	if got := c.LastKnownGood(); !got.Equal(built) {
		t.Errorf("went below the build: %s", got)
	}
}

func TestDamagedFile(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	built := now.Add(-100 * day)
	path := filepath.Join(t.TempDir(), "good")
	keep := func(c *tlsclock.Config) { c.Path = path }
	if err := ca.device(built, keep).Believe(tlsclock.Answer{Time: cardea.MillisOf(now)}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			damaged := append([]byte(nil), whole...)
			damaged[i] ^= 1 << bit
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := ca.device(built, keep).LastKnownGood(); !got.Equal(built) && !got.Equal(now) {
				t.Fatalf("%q is taken for %s", damaged, got)
			}
		}
		if err := os.WriteFile(path, whole[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ca.device(built, keep).LastKnownGood(); !got.Equal(built) {
			t.Fatalf("%q is taken for %s", whole[:i], got)
		}
	}
}

func TestBuilt(t *testing.T) {
	if b := tlsclock.Built(); b.Year() < 2026 || b.Year() > 2100 {
		t.Errorf("built in %s", b)
	}
}

func TestUnreadableFolder(t *testing.T) {
	ca := newAuthority(t, now.Add(-400*day), now.Add(400*day))
	c := ca.device(now.Add(-100*day), func(c *tlsclock.Config) { c.Path = filepath.Join(t.TempDir(), "no", "such", "folder") })
	if err := c.Believe(tlsclock.Answer{Time: cardea.MillisOf(now)}); err != nil {
		t.Errorf("a disk that takes nothing must not cost the time: %v", err)
	}
}

func FuzzLastKnownGood(f *testing.F) {
	f.Add("2027-06-01T12:00:00Z 00000000\n")
	f.Add("2027-06-01T12:00:00Z 8f9b4d3e\n")
	f.Add("")
	built := now.Add(-100 * day)
	boot := func() time.Duration { return 0 }
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "good")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := tlsclock.New(tlsclock.Config{Built: built, Path: path, Boot: boot})
		if c.LastKnownGood().Before(built) {
			t.Errorf("%q: before the build", text)
		}
	})
}

// A refusal says what to do.
func TestRefusalsSayWhatToDo(t *testing.T) {
	now := time.Now()
	ca, other := newAuthority(t, now.Add(-day), now.Add(day)), newAuthority(t, now.Add(-day), now.Add(day))
	synced := func(c *tlsclock.Config) {
		c.Now = func() cardea.Now { return cardea.Now{Time: cardea.MillisOf(now), Synced: true} }
	}
	system := func(c *tlsclock.Config) { c.Roots = nil }
	for what, test := range map[string]struct {
		by     *authority
		from   time.Duration
		host   string
		change func(*tlsclock.Config)
		says   string
	}{
		"another authority":    {other, -time.Hour, "127.0.0.1", synced, "add the one that signed the server's certificate to ca_file"},
		"one of nobody's":      {other, -time.Hour, "127.0.0.1", system, "name its PEM file in ca_file"},
		"another name":         {ca, -time.Hour, "id.elsewhere", synced, "set issuer to the server's name"},
		"it has ended":         {ca, -3 * time.Hour, "127.0.0.1", synced, "renew the server's certificate"},
		"it has not yet begun": {ca, time.Hour, "127.0.0.1", synced, "renew the server's certificate"},
	} {
		url := serve(t, test.by.leaf(now.Add(test.from), now.Add(test.from+2*time.Hour)))
		told := false
		unvouched := func(c *tlsclock.Config) { c.Unvouched = func() { told = true } }
		_, err := get(t, url, ca.device(now.Add(-day), test.change, unvouched).TLS(test.host))
		if told != (test.by == other) {
			t.Errorf("%s: told that nobody vouches: %v", what, told)
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want a word on %q", what, err, test.says)
		}
	}
}

// Who may vouch can change while the clock is used: what the key list names
// counts beside what the configuration names.
func TestAnchors(t *testing.T) {
	now := time.Now()
	old, next := newAuthority(t, now.Add(-day), now.Add(day)), newAuthority(t, now.Add(-day), now.Add(day))
	var anchors []*x509.Certificate
	c := old.device(now, func(c *tlsclock.Config) { c.Anchors = func() []*x509.Certificate { return anchors } })
	urls := map[*authority]string{}
	for _, a := range []*authority{old, next} {
		urls[a] = serve(t, a.leaf(now.Add(-time.Hour), now.Add(time.Hour)))
	}
	if _, err := get(t, urls[next], c.TLS("127.0.0.1")); err == nil {
		t.Error("a server that nobody vouches for is taken")
	}
	anchors = []*x509.Certificate{newAuthority(t, now, now.Add(day)).cert, next.cert}
	for _, a := range []*authority{old, next} {
		if _, err := get(t, urls[a], c.TLS("127.0.0.1")); err != nil {
			t.Error(err)
		}
	}
	if _, err := get(t, urls[next], c.TLS("id.elsewhere")); err == nil {
		t.Error("it vouches for a name that is not in the certificate")
	}
	anchors = nil
	if _, err := get(t, urls[next], c.TLS("127.0.0.1")); err == nil {
		t.Error("an anchor that was taken back still vouches")
	}
}
