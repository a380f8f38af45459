package passkey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/passkey/passkeytest"
)

const origin = "https://id.example.com"

var (
	here  = cardea.Hash{1}
	there = cardea.Hash{2}
	now   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func newKeys(t testing.TB) *passkey.Keys {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	k, err := passkey.New(passkey.Config{Issuer: u, Brand: "Hearth", Secret: []byte("the secret of all clouds")})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func creation(t testing.TB, k *passkey.Keys, who passkey.Person) passkey.Options {
	t.Helper()
	o, err := k.Creation(who, here, now)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func request(t testing.TB, k *passkey.Keys) passkey.Options {
	t.Helper()
	o, err := k.Request(here, now)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var ada = passkey.Person{Handle: bytes.Repeat([]byte{7}, 32), Name: "ada@example.com"}

// enrol makes a passkey on the phone and returns its owner with it.
func enrol(t testing.TB, k *passkey.Keys, p *passkeytest.Phone) (passkey.Person, passkey.Passkey) {
	t.Helper()
	made, err := k.Create(ada, here, []byte(p.Create(t, string(creation(t, k, ada)))), now)
	if err != nil {
		t.Fatal(err)
	}
	p.Holder.UserHandle = ada.Handle
	who := ada
	who.Records = [][]byte{made.Record}
	return who, made
}

func finds(who passkey.Person) func([]byte) (passkey.Person, error) {
	return func([]byte) (passkey.Person, error) { return who, nil }
}

func TestPasskeyIsMadeAndUsed(t *testing.T) {
	k, p := newKeys(t), passkeytest.New(t, origin)
	who, made := enrol(t, k, p)
	if !bytes.Equal(made.ID, p.Passkey.ID) || !made.Synced || made.Cloned {
		t.Errorf("made %+v", made)
	}
	for range 2 { // a synced one does not count
		used, err := k.Check(here, []byte(p.Use(t, string(request(t, k)))), now, finds(who))
		if err != nil || used.Cloned || used.Challenge == made.Challenge {
			t.Fatalf("used %+v, %v", used, err)
		}
	}
	if strings.Contains(string(made.Record), "attestationObject\":\"") || bytes.Contains(made.Record, []byte(who.Name)) {
		t.Errorf("more is kept than is needed: %s", made.Record)
	}
}

// The browser is asked for what the package promises.
func TestWhatBrowsersAreAsked(t *testing.T) {
	k, p := newKeys(t), passkeytest.New(t, origin)
	who, _ := enrol(t, k, p)
	var c struct {
		RP                     struct{ ID, Name string }
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		ExcludeCredentials     []any
		Attestation            string
	}
	if err := json.Unmarshal([]byte(creation(t, k, who)), &c); err != nil {
		t.Fatal(err)
	}
	if c.RP.ID != "id.example.com" || c.RP.Name != "Hearth" || c.AuthenticatorSelection.ResidentKey != "required" ||
		c.AuthenticatorSelection.UserVerification != "required" || len(c.ExcludeCredentials) != 1 || c.Attestation != "none" {
		t.Errorf("creation asks %+v", c)
	}
	var r struct {
		RPID             string
		UserVerification string
		AllowCredentials []any
	}
	if err := json.Unmarshal([]byte(request(t, k)), &r); err != nil {
		t.Fatal(err)
	}
	if r.RPID != "id.example.com" || r.UserVerification != "required" || len(r.AllowCredentials) != 0 {
		t.Errorf("request asks %+v", r)
	}
}

func TestCounterTellsOfClones(t *testing.T) {
	k, p := newKeys(t), passkeytest.New(t, origin)
	p.Passkey.Counter = 5
	who, _ := enrol(t, k, p)
	use := func(counter uint32) passkey.Passkey {
		p.Passkey.Counter = counter
		used, err := k.Check(here, []byte(p.Use(t, string(request(t, k)))), now, finds(who))
		if err != nil {
			t.Fatal(err)
		}
		who.Records = [][]byte{used.Record}
		return used
	}
	if use(6).Cloned {
		t.Error("a counter that goes on is no clone")
	}
	if !use(6).Cloned || !use(3).Cloned {
		t.Error("a counter that stands still or goes back was not noticed")
	}
	if use(7).Cloned {
		t.Error("once noticed, the warning stays with the record: the caller keeps it")
	}
}

// What must not be accepted, with the same phone and key.
func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, who *passkey.Person) (browser cardea.Hash, answer []byte, at time.Time){
		"another browser's challenge": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			return there, []byte(p.Use(t, string(request(t, k)))), now
		},
		"an old challenge": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			return here, []byte(p.Use(t, string(request(t, k)))), now.Add(30 * time.Minute)
		},
		"a challenge for making one": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, who *passkey.Person) (cardea.Hash, []byte, time.Time) {
			return here, []byte(p.Use(t, string(creation(t, k, *who)))), now
		},
		"another site": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Site.Origin = "https://id.example.com.evil.example"
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"the same name in clear": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Site.Origin = "http://id.example.com"
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"another name": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Site.ID = "evil.example"
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"nobody recognised": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Holder.UserNotVerified = true
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"nobody there": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Holder.UserNotPresent = true
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"another key": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Passkey.Key = passkeytest.NewPasskey(t).Key
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"another person": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, who *passkey.Person) (cardea.Hash, []byte, time.Time) {
			who.Handle = bytes.Repeat([]byte{8}, 32)
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"backed up against its word": func(t *testing.T, k *passkey.Keys, p *passkeytest.Phone, _ *passkey.Person) (cardea.Hash, []byte, time.Time) {
			p.Holder.BackupEligible, p.Holder.BackupState = false, false
			return here, []byte(p.Use(t, string(request(t, k)))), now
		},
		"no answer at all": func(*testing.T, *passkey.Keys, *passkeytest.Phone, *passkey.Person) (cardea.Hash, []byte, time.Time) {
			return here, []byte(`{"id":`), now
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, p := newKeys(t), passkeytest.New(t, origin)
			who, _ := enrol(t, k, p)
			browser, answer, at := spoil(t, k, p, &who)
			if _, err := k.Check(browser, answer, at, finds(who)); !errors.Is(err, passkey.ErrRefused) {
				t.Errorf("%v, want ErrRefused", err)
			}
		})
	}
}

func TestMadeByNobodyRecognised(t *testing.T) {
	k, p := newKeys(t), passkeytest.New(t, origin)
	p.Holder.UserNotVerified = true
	if _, err := k.Create(ada, here, []byte(p.Create(t, string(creation(t, k, ada)))), now); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	p = passkeytest.New(t, origin)
	if _, err := k.Create(ada, there, []byte(p.Create(t, string(creation(t, k, ada)))), now); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("in another browser: %v, want ErrRefused", err)
	}
}

// Who does not find it says so themselves.
func TestUnknownPasskey(t *testing.T) {
	k, p := newKeys(t), passkeytest.New(t, origin)
	enrol(t, k, p)
	unknown := errors.New("not found")
	_, err := k.Check(here, []byte(p.Use(t, string(request(t, k)))), now, func([]byte) (passkey.Person, error) { return passkey.Person{}, unknown })
	if !errors.Is(err, unknown) {
		t.Errorf("%v, want what the caller said", err)
	}
}

func TestNumbersHaveNoPasskeys(t *testing.T) {
	for _, issuer := range []string{"http://127.0.0.1:8080", "https://[::1]"} {
		u, _ := url.Parse(issuer)
		if _, err := passkey.New(passkey.Config{Issuer: u, Brand: "Hearth"}); !errors.Is(err, passkey.ErrAddress) {
			t.Errorf("%s: %v, want ErrAddress", issuer, err)
		}
	}
	u, _ := url.Parse("http://localhost:8080")
	if _, err := passkey.New(passkey.Config{Issuer: u, Brand: "Hearth"}); err != nil {
		t.Errorf("localhost: %v", err)
	}
}

// No bytes from a browser do more than be refused.
func FuzzAnswer(f *testing.F) {
	k, p := newKeys(f), passkeytest.New(f, origin)
	who, _ := enrol(f, k, p)
	f.Add([]byte(p.Use(f, string(request(f, k)))))
	f.Add([]byte(p.Create(f, string(creation(f, k, ada)))))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if _, err := k.Check(there, answer, now, finds(who)); err == nil {
			t.Error("accepted in a browser that was asked nothing")
		}
		if _, err := k.Create(ada, there, answer, now); err == nil {
			t.Error("made in a browser that was asked nothing")
		}
	})
}
