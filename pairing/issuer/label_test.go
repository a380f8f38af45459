package issuer_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"testing"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// wake has a device ask under its label, as its button does.
func (d *device) wake(t testing.TB, label jose.PrivateKey) (pairing.Authorization, pairing.Label) {
	t.Helper()
	a := d.post(issuer.PathDeviceAuthorization, d.labelForm(t, label, d.fresh()))
	authorization, err := pairing.ParseAuthorization(a.body)
	if err != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return authorization, pairing.LabelOf(label.Public())
}

// fresh is a nonce the server takes.
func (d *device) fresh() string {
	d.post(issuer.PathToken, pollForm("x"))
	return d.nonce
}

func (d *device) labelForm(t testing.TB, label jose.PrivateKey, nonce string) url.Values {
	t.Helper()
	text, err := jose.Sign(label.Signer(), map[string]any{"typ": pairing.TypeLabel, "jwk": json.RawMessage(jose.JWK(label.Public()))},
		pairing.LabelAssertion{Audience: base, JKT: jose.Thumbprint(d.key.Public()), Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"device_kind": {"speaker"}, "device_label": {text}}
}

func (d *device) press(code pairing.Secret, times int) answer {
	form := pollForm(code)
	form.Set("device_presses", strconv.Itoa(times))
	return d.post(issuer.PathToken, form)
}

func TestPairByLabel(t *testing.T) {
	w := newWorld(t)
	d, label := w.keyed(), jose.GenerateKey()
	if _, err := w.LookupLabel(t.Context(), w.owner.ID, pairing.LabelOf(label.Public()), netip.Addr{}); !errors.Is(err, issuer.ErrAsleep) {
		t.Errorf("asleep: %v", err)
	}
	a, name := d.wake(t, label)
	asks, err := w.LookupLabel(t.Context(), w.owner.ID, name, netip.Addr{})
	if err != nil || asks.Presses != 0 || asks.Device.Kind != "speaker" || asks.Code != "" || asks.Choices != nil {
		t.Fatalf("%+v, %v", asks, err)
	}
	want(t, d.press(a.DeviceCode, 3), pairing.AuthorizationPending) // nobody said yes yet
	if err := w.ApproveLabel(t.Context(), w.owner.ID, name, "Hall"); err != nil {
		t.Fatal(err)
	}
	asks, err = w.LookupLabel(t.Context(), w.owner.ID, name, netip.Addr{})
	if err != nil || asks.Presses < pairing.MinPresses || asks.Presses > pairing.MaxPresses {
		t.Fatalf("%+v, %v", asks, err)
	}
	want(t, d.poll(a.DeviceCode), pairing.PressRequired)
	// Another account has photographed the label: it learns nothing and changes nothing.
	stranger := accountdbtest.Account(t, w.db)
	if asks, err := w.LookupLabel(t.Context(), stranger.ID, name, netip.Addr{}); !errors.Is(err, issuer.ErrUsed) || asks.Presses != 0 {
		t.Errorf("a stranger is told %+v, %v", asks, err)
	}
	if err := w.ApproveLabel(t.Context(), stranger.ID, name, "Mine"); !errors.Is(err, issuer.ErrUsed) {
		t.Errorf("a second yes: %v", err)
	}
	if err := w.DenyLabel(t.Context(), stranger.ID, name); !errors.Is(err, issuer.ErrUsed) {
		t.Errorf("a stranger's no: %v", err)
	}
	d.press(a.DeviceCode, asks.Presses).tokens(t)
	if asks, err := w.LookupLabel(t.Context(), w.owner.ID, name, netip.Addr{}); err != nil || !asks.Done || asks.Grant == "" {
		t.Errorf("done: %+v, %v", asks, err)
	}
	// A replay of the press gives nothing to another key, nor twice.
	want(t, w.keyed().press(a.DeviceCode, asks.Presses), pairing.InvalidGrant)
}

// Somebody with a photograph said yes first. The owner, who was told no number,
// presses once.
func TestAnotherOwnerWasFirst(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	a, name := d.wake(t, jose.GenerateKey())
	thief := accountdbtest.Account(t, w.db)
	if err := w.ApproveLabel(t.Context(), thief.ID, name, "Mine"); err != nil {
		t.Fatal(err)
	}
	want(t, d.press(a.DeviceCode, 1), pairing.AccessDenied)
	for times := pairing.MinPresses; times <= pairing.MaxPresses; times++ {
		want(t, d.press(a.DeviceCode, times), pairing.AccessDenied) // and there is no second try
	}
	if grants, err := w.Grants(t.Context(), thief.ID); err != nil || len(grants) != 0 {
		t.Errorf("the thief has %+v, %v", grants, err)
	}
	if w.heard(pairing.NotePressed) != 1 {
		t.Error("nobody is told of the wrong number")
	}
}

// A photograph of a label makes no device: only its own key can ask under it.
func TestLabelsAreProved(t *testing.T) {
	w := newWorld(t)
	d, label := w.keyed(), jose.GenerateKey()
	nonce := d.fresh()
	good := d.labelForm(t, label, nonce)
	for why, test := range map[string]struct {
		from *device
		form url.Values
		code string
	}{
		"another device":   {w.keyed(), good, pairing.InvalidRequest},
		"no proof":         {w.bearer(), good, pairing.InvalidDPoPProof},
		"no signature":     {d, url.Values{"device_label": {string(pairing.LabelOf(label.Public()))}}, pairing.InvalidRequest},
		"an old nonce":     {d, d.labelForm(t, label, "old"), ""},
		"pressed no times": {d, nil, pairing.InvalidRequest},
	} {
		if test.form == nil {
			form := pollForm("x")
			form.Set("device_presses", "0")
			want(t, d.post(issuer.PathToken, form), test.code)
			continue
		}
		a, err := test.from.try(t.Context(), issuer.PathDeviceAuthorization, test.form)
		if why == "an old nonce" {
			if err == nil { // it asks for a fresh one as long as it gets the old one
				t.Errorf("%s: %d %s", why, a.status, a.body)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		want(t, a, test.code)
	}
	if _, err := w.LookupLabel(t.Context(), w.owner.ID, pairing.LabelOf(label.Public()), netip.Addr{}); !errors.Is(err, issuer.ErrAsleep) {
		t.Errorf("one of them asks under the label: %v", err)
	}
}

// Who was asked for a new code asks under the newest.
func TestNewestUnderALabel(t *testing.T) {
	w := newWorld(t)
	d, label := w.keyed(), jose.GenerateKey()
	old, name := d.wake(t, label)
	if err := w.DenyLabel(t.Context(), w.owner.ID, name); err != nil {
		t.Fatal(err)
	}
	want(t, d.poll(old.DeviceCode), pairing.AccessDenied)
	a, _ := d.wake(t, label)
	if err := w.ApproveLabel(t.Context(), w.owner.ID, name, "Hall"); err != nil {
		t.Fatal(err)
	}
	want(t, d.poll(a.DeviceCode), pairing.PressRequired)
}
