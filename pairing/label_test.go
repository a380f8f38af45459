package pairing_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

func TestLabel(t *testing.T) {
	key := jose.GenerateKey()
	label := pairing.LabelOf(key.Public())
	if label != pairing.LabelOf(key.Public()) || label == pairing.LabelOf(jose.GenerateKey().Public()) {
		t.Error("a label is of one key")
	}
	if len(label) != 24 || strings.Count(string(label), "-") != 4 {
		t.Errorf("%q", label)
	}
	address := label.Address("https://id.example.com")
	if address != strings.ToUpper(address) || !strings.HasPrefix(address, "HTTPS://ID.EXAMPLE.COM/L/") {
		t.Errorf("%q", address)
	}
	for _, text := range []string{string(label), strings.ToLower(string(label)), address[len("HTTPS://ID.EXAMPLE.COM/L/"):], strings.ReplaceAll(string(label), "-", " ")} {
		if got, err := pairing.ParseLabel(text); got != label || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "BCDF", string(label) + "B", "A" + string(label)[1:], "漢" + string(label)[1:], strings.Repeat("B", 1<<16)} {
		if _, err := pairing.ParseLabel(text); !errors.Is(err, pairing.ErrInvalidLabel) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

func FuzzParseLabel(f *testing.F) {
	f.Add("BCDF-GHJK-LMNP-QRST-VWXZ")
	f.Add("bcdfghjklmnpqrstvwxz")
	f.Fuzz(func(t *testing.T, text string) {
		label, err := pairing.ParseLabel(text)
		if err != nil {
			return
		}
		if again, err := pairing.ParseLabel(string(label)); again != label || err != nil {
			t.Errorf("%q is read as %q, %v", label, again, err)
		}
	})
}

// An assertion is of one label key, for one server and one device.
func TestVerifyLabel(t *testing.T) {
	label, other := jose.GenerateKey(), jose.GenerateKey()
	device := jose.Thumbprint(jose.GenerateKey().Public())
	sign := func(key jose.PrivateKey, shown *ecdsa.PublicKey, typ string, a pairing.LabelAssertion) string {
		text, err := jose.Sign(key.Signer(), map[string]any{"typ": typ, "jwk": json.RawMessage(jose.JWK(shown))}, a)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := pairing.LabelAssertion{Audience: "https://id.example.com", JKT: device, Nonce: "n"}
	got, nonce, err := pairing.VerifyLabel(sign(label, label.Public(), pairing.TypeLabel, good), "https://id.example.com", device)
	if err != nil || got != pairing.LabelOf(label.Public()) || nonce != "n" {
		t.Fatalf("%q, %q, %v", got, nonce, err)
	}
	for why, text := range map[string]string{
		"another's label, photographed": sign(other, label.Public(), pairing.TypeLabel, good),
		"another device":                sign(label, label.Public(), pairing.TypeLabel, pairing.LabelAssertion{good.Audience, "x", "n"}),
		"no device":                     sign(label, label.Public(), pairing.TypeLabel, pairing.LabelAssertion{good.Audience, "", "n"}),
		"another server":                sign(label, label.Public(), pairing.TypeLabel, pairing.LabelAssertion{"https://evil.example", device, "n"}),
		"an assertion for the broker":   sign(label, label.Public(), "JWT", good),
		"nonsense":                      "a.b.c",
		"nothing":                       "",
	} {
		if got, _, err := pairing.VerifyLabel(text, good.Audience, device); err == nil {
			t.Errorf("%s is taken for %q", why, got)
		}
	}
	if _, _, err := pairing.VerifyLabel(sign(label, label.Public(), pairing.TypeLabel, pairing.LabelAssertion{good.Audience, "", "n"}), good.Audience, ""); err == nil {
		t.Error("a device without a key has a label")
	}
}

// The button counts as often as the owner was told, once.
func TestPresses(t *testing.T) {
	owner := pairing.Owner{Account: cardea.NewID[cardea.AccountID](), Active: true}
	approved := func() *pairing.Grant {
		g := &pairing.Grant{State: pairing.GrantPending, JKT: "key", Code: cardea.Hash{1}, Expires: 1000, Label: cardea.Hash{2}, Presses: 3}
		if _, err := g.Redeem(pairing.Use{JKT: "key", Presses: 3}, owner, 1); !pairing.HasCode(err, pairing.AuthorizationPending) {
			t.Fatalf("pressed before the owner's yes: %v", err)
		}
		if _, err := g.Approve(owner, "Hall", 2); err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := approved()
	before := *g
	if _, err := g.Redeem(pairing.Use{JKT: "key"}, owner, 3); !pairing.HasCode(err, pairing.PressRequired) || *g != before {
		t.Errorf("not pressed: %v, %+v", err, g)
	}
	if _, err := g.Redeem(pairing.Use{JKT: "other", Presses: 3}, owner, 3); !pairing.HasCode(err, pairing.InvalidGrant) || g.State != pairing.GrantApproved {
		t.Errorf("pressed on another device: %v, %s", err, g.State)
	}
	if note, err := g.Redeem(pairing.Use{JKT: "key", Presses: 3}, owner, 4); err != nil || note != pairing.NoteRedeemed {
		t.Errorf("pressed as told: %s, %v", note, err)
	}
	// The answer was lost: the device asks again, and nobody presses again.
	lost := pairing.Use{JKT: "key", Token: g.Code, Next: cardea.Hash{9}}
	g.Predecessor, lost.Arrived = g.Code, g.Issued.Add(2*time.Second)
	if note, err := g.Redeem(lost, owner, 900); err != nil || note != pairing.NoteRepeated {
		t.Errorf("lost answer: %s, %v", note, err)
	}
	for _, wrong := range []int{1, 2, 4} {
		g := approved()
		if note, err := g.Redeem(pairing.Use{JKT: "key", Presses: wrong}, owner, 3); !pairing.HasCode(err, pairing.AccessDenied) || note != pairing.NotePressed || g.State != pairing.GrantDenied {
			t.Errorf("pressed %d times: %s, %v, %s", wrong, note, err, g.State)
		}
		if _, err := g.Redeem(pairing.Use{JKT: "key", Presses: 3}, owner, 4); !pairing.HasCode(err, pairing.AccessDenied) {
			t.Errorf("a second try after %d presses: %v", wrong, err)
		}
	}
	// Two owners: the first one's yes stands, and only they were told the number.
	g = approved()
	if _, err := g.Approve(pairing.Owner{Account: cardea.NewID[cardea.AccountID](), Active: true}, "Mine", 3); !errors.Is(err, pairing.ErrUsed) || g.Account != owner.Account {
		t.Errorf("a second yes: %v", err)
	}
}
