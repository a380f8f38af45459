package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/cardea-id/cardea/pairing"
)

// window is how long one nonce is handed out. It is accepted during the next
// one too, so a nonce is good for five to ten minutes.
const window = 5 * time.Minute

// nonces makes DPoP nonces: a MAC of the number of the window they are for.
// Every node with the same secret accepts them and nothing is remembered.
type nonces struct{ secret []byte }

func newNonces(secret []byte) nonces { return nonces{secret} }

func (n nonces) of(number int64) string {
	mac := hmac.New(sha256.New, n.secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(number)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func number(now time.Time) int64 { return now.Unix() / int64(window.Seconds()) }

// Nonce is what proofs made now should carry (RFC 9449, Section 8).
func (k *Keys) Nonce(now time.Time) string { return k.nonces.of(number(now)) }

// CheckNonce reports whether a proof with the nonce is fresh, and until when it
// stays so: that long its jti must be remembered.
func (k *Keys) CheckNonce(nonce string, now time.Time) (until time.Time, ok bool) {
	for back := range int64(2) {
		n := number(now) - back
		if subtle.ConstantTimeCompare([]byte(nonce), []byte(k.nonces.of(n))) == 1 {
			return time.Unix((n+2)*int64(window.Seconds()), 0), true
		}
	}
	return time.Time{}, false
}

// Proofs remembers proofs for several processes. shared is false if there are no
// others, and nothing was remembered.
type Proofs interface {
	UseProof(ctx context.Context, proof pairing.ProofID) (fresh, shared bool, err error)
}

// RememberIn has proofs remembered where other processes see them. Call it
// before the first is verified.
func (k *Keys) RememberIn(p Proofs) { k.proofs = p }

// first reports whether a proof was not used before, here or elsewhere.
func (k *Keys) first(ctx context.Context, proof pairing.ProofID, now time.Time) (bool, error) {
	if k.proofs != nil {
		if fresh, shared, err := k.proofs.UseProof(ctx, proof); shared || err != nil {
			return fresh, err
		}
	}
	return k.replay.first(proof.Hash, proof.Until.Time(), now), nil
}

// maxReplay bounds the memory of proofs to about a hundred megabytes. Only
// proofs with a valid token and a fresh nonce are remembered.
const maxReplay = 1 << 20

// A replay remembers proofs while their nonce is good.
type replay struct {
	mu   sync.Mutex
	seen map[[32]byte]int64 // until when, Unix seconds
	next int64              // when to forget again
}

// first reports whether id was not seen before. When there is no room to
// remember it, it is refused.
func (r *replay) first(id [32]byte, until, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[[32]byte]int64{}
	}
	if now.Unix() >= r.next {
		r.next = now.Add(window).Unix()
		for old, end := range r.seen {
			if end <= now.Unix() {
				delete(r.seen, old)
			}
		}
	}
	if _, seen := r.seen[id]; seen || len(r.seen) >= maxReplay {
		return false
	}
	r.seen[id] = until.Unix()
	return true
}
