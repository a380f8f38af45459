package vectors_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/internal/wire/vectors"
)

func TestSetIsWhole(t *testing.T) {
	set := vectors.Load(t)
	kinds := map[string]int{}
	seen := map[string]bool{}
	for _, v := range set.Good {
		if v.Error != "" || len(v.Opens) == 0 {
			t.Errorf("%s %q is good and opens to nothing", v.Kind, v.Name)
		}
		kinds[v.Kind]++
	}
	for _, v := range set.Bad {
		if v.Error == "" || v.Error == "other" || len(v.Opens) > 0 {
			t.Errorf("%s %q is bad and names no error", v.Kind, v.Name)
		}
		if seen[v.Kind+v.Name] {
			t.Errorf("%s %q stands there twice", v.Kind, v.Name)
		}
		seen[v.Kind+v.Name] = true
	}
	for _, kind := range []string{"statement", "renewal", "held", "report", "unknown", "keys", "body", "topic"} {
		if kinds[kind] == 0 {
			t.Errorf("no good %s", kind)
		}
	}
	if len(set.Digests) == 0 {
		t.Error("no digests")
	}
}

// The keys belong together: what a program needs to play either side.
func TestKeysBelongTogether(t *testing.T) {
	k := vectors.Load(t).Keys
	device := vectors.Private(t, k.Dev)
	u := cardea.Up{
		Device: k.Device, Link: k.Link, Log: cardea.NewLog().ID, Boot: cardea.Nonce{1}, Nonce: cardea.Nonce{2}, Clock: cardea.ClockUntrusted,
	}
	sealed, err := wire.SealUp(u, device, k.LinkKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(t, vectors.Vector{Kind: "report", Bytes: sealed}); err != nil {
		t.Error(err)
	}
	d := cardea.Down{Device: k.Device, Link: k.Link, Time: 1, Closed: true}
	if sealed, _, err = wire.SealDown(d, vectors.Private(t, k.Cloud), k.LinkKey); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(t, vectors.Vector{Kind: "renewal", Bytes: sealed}); err != nil {
		t.Error(err)
	}
}

func TestErrorName(t *testing.T) {
	for err, want := range map[error]string{
		nil: "", errors.New("disk full"): "other", fmt.Errorf("x: %w", wire.ErrForeign): "foreign", wire.ErrTooBig: "too_big",
		wire.ErrMalformed: "malformed", wire.ErrSignature: "signature", wire.ErrVersion: "version",
	} {
		if got := vectors.ErrorName(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}

func TestHex(t *testing.T) {
	var h vectors.Hex
	if err := json.Unmarshal([]byte(`"00ff"`), &h); err != nil || string(h) != "\x00\xff" {
		t.Errorf("%x, %v", h, err)
	}
	if b, err := json.Marshal(h); err != nil || string(b) != `"00ff"` {
		t.Errorf("%s, %v", b, err)
	}
	if json.Unmarshal([]byte(`"0"`), &h) == nil {
		t.Error("half a byte was read")
	}
}
