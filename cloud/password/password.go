// Package password keeps passwords as Argon2id hashes, a few at a time: a hash
// takes so much memory that who signs in must wait for a turn.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/argon2"
)

// Argon2id as RFC 9106 and the OWASP password storage sheet have it for servers
// that sign in many: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32
)

// ErrBusy: more passwords wait to be checked than the machine can check soon.
var ErrBusy = errors.New("too many sign-ins at once")

// hashWait is how long a password waits for its turn.
const hashWait = 5 * time.Second

// A Hasher hashes and checks. Each hash takes 19 MiB, so turns bounds how much
// memory anybody can make the server use.
type Hasher struct {
	turns chan struct{}
	decoy string // the hash of nobody's password, see Check
}

// New makes a hasher that works on so many at once.
func New(atOnce int) *Hasher {
	p := &Hasher{turns: make(chan struct{}, atOnce)}
	p.decoy = encode(newSalt(), make([]byte, keyBytes))
	return p
}

// Hash makes a PHC string of a password.
func (p *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := newSalt()
	key, err := p.key(ctx, password, salt)
	if err != nil {
		return "", err
	}
	return encode(salt, key), nil
}

// Check reports whether the password made the hash. An empty hash is of nobody:
// it takes as long as any other and is never right, so that time does not tell
// who has an account.
func (p *Hasher) Check(ctx context.Context, password, hash string) (bool, error) {
	if hash == "" {
		hash = p.decoy
	}
	salt, want, err := decode(hash)
	if err != nil {
		return false, err
	}
	key, err := p.key(ctx, password, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, want) == 1 && hash != p.decoy, nil
}

func (p *Hasher) key(ctx context.Context, password string, salt []byte) ([]byte, error) {
	release, err := p.Turn(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, keyBytes), nil
}

// Turn waits for a turn, at most five seconds, and returns how to give it back.
func (p *Hasher) Turn(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, hashWait, ErrBusy)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func newSalt() []byte {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return salt
}

const phc = "$argon2id$v=19$m=%d,t=%d,p=%d$"

func encode(salt, key []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf(phc, argonMemory, argonTime, argonLanes) + b.EncodeToString(salt) + "$" + b.EncodeToString(key)
}

// decode takes a PHC string apart. One made with other parameters is not known:
// whoever changes the parameters adds the old ones here.
func decode(hash string) (salt, key []byte, err error) {
	head := fmt.Sprintf(phc, argonMemory, argonTime, argonLanes)
	b := base64.RawStdEncoding.Strict()
	saltText := b.EncodedLen(saltBytes)
	if len(hash) != len(head)+saltText+1+b.EncodedLen(keyBytes) || hash[:len(head)] != head || hash[len(head)+saltText] != '$' {
		return nil, nil, errors.New("password hash of an unknown form")
	}
	salt, err = b.DecodeString(hash[len(head) : len(head)+saltText])
	if err != nil {
		return nil, nil, fmt.Errorf("password salt: %w", err)
	}
	key, err = b.DecodeString(hash[len(head)+saltText+1:])
	if err != nil {
		return nil, nil, fmt.Errorf("password hash: %w", err)
	}
	return salt, key, nil
}
