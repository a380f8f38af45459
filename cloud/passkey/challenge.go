package passkey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// A challenge is random bytes, when it ends, and a MAC over both, over what it is
// for, and over the browser it was given to. So it needs no storage, and one that
// was given to another browser is worth nothing.
const (
	randomBytes   = 16
	endBytes      = 8
	macBytes      = 16
	challengeLife = 30 * time.Minute // a page to sign in may stand open
)

// What a challenge is for.
const (
	creating = "create"
	using    = "use"
)

func (k *Keys) challenge(kind string, browser cardea.Hash, now time.Time) []byte {
	c := make([]byte, randomBytes, randomBytes+endBytes+macBytes)
	rand.Read(c)
	c = binary.BigEndian.AppendUint64(c, uint64(now.Add(challengeLife).UnixMilli()))
	return append(c, k.mac(kind, browser, c)...)
}

func (k *Keys) mac(kind string, browser cardea.Hash, head []byte) []byte {
	mac := hmac.New(sha256.New, k.secret)
	fmt.Fprintf(mac, "cardea passkey %s\x00", kind)
	mac.Write(browser[:])
	mac.Write(head)
	return mac.Sum(nil)[:macBytes]
}

// answered checks that an answer is to a challenge of ours, and returns its hash.
func (k *Keys) answered(kind string, browser cardea.Hash, text string, now time.Time) (cardea.Hash, error) {
	c, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(c) != randomBytes+endBytes+macBytes {
		return cardea.Hash{}, fmt.Errorf("%w: another's challenge", ErrRefused)
	}
	head, mac := c[:randomBytes+endBytes], c[randomBytes+endBytes:]
	if !hmac.Equal(mac, k.mac(kind, browser, head)) {
		return cardea.Hash{}, fmt.Errorf("%w: another's challenge", ErrRefused)
	}
	if end := int64(binary.BigEndian.Uint64(head[randomBytes:])); now.UnixMilli() >= end {
		return cardea.Hash{}, fmt.Errorf("%w: an old challenge", ErrRefused)
	}
	return sha256.Sum256(c), nil
}
