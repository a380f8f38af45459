package pairingtest_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
)

// The server is as strict as those a device meets: what passes here must not
// pass because nobody looked.
func TestTheServerIsStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{DPoP: true}
		c := s.Client()
		c.Signer = jose.GenerateKey().Signer()
		a, err := c.Start(t.Context(), pairing.Device{})
		if err != nil {
			t.Fatal(err)
		}
		poll := func(c *pairing.Client, want string) {
			t.Helper()
			if _, err := c.Poll(t.Context(), a.DeviceCode); !pairing.HasCode(err, want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		poll(c, pairing.AuthorizationPending)
		poll(c, pairing.SlowDown)
		thief := s.Client()
		thief.Signer = jose.GenerateKey().Signer()
		poll(thief, pairing.InvalidGrant)
		poll(s.Client(), pairing.InvalidGrant)
		s.Decide(a.UserCode, true)
		first, err := c.Poll(t.Context(), a.DeviceCode)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Poll(t.Context(), a.DeviceCode)
		if err != nil || again.RefreshToken == first.RefreshToken {
			t.Errorf("the code can not be redeemed again before its tokens are used: %v", err)
		}
		if _, err := c.Refresh(t.Context(), first.RefreshToken); !pairing.HasCode(err, pairing.InvalidGrant) {
			t.Errorf("a set that was replaced is taken: %v", err)
		}
		if _, err := c.Refresh(t.Context(), again.RefreshToken); err != nil {
			t.Error(err)
		}
		poll(c, pairing.InvalidGrant)
	})
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{}
		for fault, transient := range map[pairingtest.Fault]bool{
			pairingtest.Unreachable: false, pairingtest.Silent: false, pairingtest.AnswerLost: false,
			pairingtest.Broken: true, pairingtest.Portal: true,
		} {
			s.Break(func(r *http.Request) pairingtest.Fault { return fault })
			begun := time.Now()
			_, err := (&pairing.Client{
				ClientID: "c", HTTP: s.HTTP(),
				Endpoints: &pairing.Metadata{DeviceAuthorizationEndpoint: pairingtest.Issuer + "/device"},
			}).Start(t.Context(), pairing.Device{})
			e, isAnswer := errors.AsType[*pairing.Error](err)
			if err == nil || isAnswer != transient || isAnswer && !e.Transient() {
				t.Errorf("fault %v: %v", fault, err)
			}
			if silent := time.Since(begun) > 0; silent != (fault == pairingtest.Silent) {
				t.Errorf("fault %v took %v", fault, time.Since(begun))
			}
		}
	})
}
