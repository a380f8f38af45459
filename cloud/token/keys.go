// Package token keeps the cloud's signing keys and makes and checks what they
// sign for programs: access tokens (RFC 9068), the devices' own tokens for the
// broker, and the nonces of DPoP (RFC 9449).
//
// The keys are made at the first start, once, however many processes start, and
// are kept by a [Storage] that seals them. Tokens are signed with the current
// key and verified with it or the one before; the statement key signs nothing
// here and is handed out as a signer, never as bytes.
//
// Devices learn which statement keys count from a list that the root signs, and
// the root signs nothing else. Every list there was is kept, each with a higher
// version than the one before; after a rotation the new key and the one before
// stand in it. The lists are also noted apart from the database: one that was
// put back to an earlier state may sign with a key that devices have been told
// to forget, and so goes on with a new key and a list above all.
//
// Freshness never rests on a clock that is not ours: a proof must carry a nonce
// of the last minutes, which is a MAC of the time and so costs no memory.
package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cardea-id/cardea/internal/jose"
)

// Storage keeps secrets by name, sealed. What writes is one durable
// transaction and safe for concurrent use, also by several processes.
type Storage interface {
	// Secret returns what is kept under name, and keeps and returns what fresh
	// makes if there is nothing. With fresh nil that is an error instead.
	Secret(ctx context.Context, name string, fresh func() []byte) ([]byte, error)
	// Replace keeps secret under name, and what stood there under former.
	Replace(ctx context.Context, name, former string, secret []byte) error
	// Change keeps under name what next makes of what stands there, and notes
	// the key list it returns where no backup puts it back.
	Change(ctx context.Context, name string, next func(secret []byte) (kept, list []byte, err error)) error
	// Noted is every list there was, also those that were forgotten.
	Noted(ctx context.Context) (lists [][]byte, err error)
}

// The names secrets are kept under.
const (
	currentName    = "token/current"
	previousName   = "token/previous"
	statementName  = "statement"      // the first one
	statementsName = "statement keys" // what came of it, a statements
	rootName       = "root"
	secretName     = "secret"
)

// Keys are the cloud's keys. They are safe for concurrent use and print nothing.
type Keys struct {
	issuer  string
	storage Storage

	root   jose.PrivateKey
	secret []byte
	nonces nonces
	replay replay
	proofs Proofs // nil: replay alone

	mu       sync.RWMutex
	current  signingKey
	previous signingKey // zero before the first rotation

	statement jose.PrivateKey
	lists     [][]byte                    // signed, the newest last
	past      map[string]*ecdsa.PublicKey // every key there was in a list
}

func (*Keys) String() string { return "redacted" }

// GoString keeps %#v from printing the secret.
func (*Keys) GoString() string { return "redacted" }

// LogValue keeps the secret out of logs.
func (*Keys) LogValue() slog.Value { return slog.StringValue("redacted") }

type signingKey struct {
	jose.PrivateKey
	kid string
}

func newSigningKey(der []byte) (signingKey, error) {
	key, err := jose.ParsePrivateKey(der)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{key, jose.Thumbprint(key.Public())}, nil
}

func fresh() []byte { return jose.GenerateKey().DER() }

// Open reads the keys, or makes them at the first start. issuer is the base URL
// of the cloud, without a trailing slash; it is in every token.
func Open(ctx context.Context, issuer string, storage Storage) (*Keys, error) {
	k := &Keys{issuer: issuer, storage: storage}
	if err := k.load(ctx); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	k.nonces = newNonces(k.Derive("dpop nonce"))
	return k, nil
}

func (k *Keys) load(ctx context.Context) error {
	secret, err := k.storage.Secret(ctx, secretName, func() []byte {
		b := make([]byte, 32)
		rand.Read(b)
		return b
	})
	if err != nil {
		return err
	}
	k.secret = secret
	der, err := k.storage.Secret(ctx, rootName, fresh)
	if err != nil {
		return err
	}
	if k.root, err = jose.ParsePrivateKey(der); err != nil {
		return fmt.Errorf("root key: %w", err)
	}
	if err := k.loadStatements(ctx); err != nil {
		return err
	}
	return k.loadTokenKeys(ctx)
}

func (k *Keys) loadTokenKeys(ctx context.Context) error {
	der, err := k.storage.Secret(ctx, currentName, fresh)
	if err != nil {
		return err
	}
	current, err := newSigningKey(der)
	if err != nil {
		return fmt.Errorf("token key: %w", err)
	}
	// Before the first rotation the current key stands in for its predecessor.
	der, err = k.storage.Secret(ctx, previousName, func() []byte { return der })
	if err != nil {
		return err
	}
	previous, err := newSigningKey(der)
	if err != nil {
		return fmt.Errorf("previous token key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current, k.previous = current, previous
	return nil
}

// Rotate makes a new token key; the one before stays good for verifying until
// the next rotation. Rotate no more often than the longest token lives (a day).
func (k *Keys) Rotate(ctx context.Context) error {
	if err := k.storage.Replace(ctx, currentName, previousName, fresh()); err != nil {
		return fmt.Errorf("rotate token key: %w", err)
	}
	if err := k.loadTokenKeys(ctx); err != nil {
		return fmt.Errorf("rotate token key: %w", err)
	}
	return nil
}

// Follow takes over what another process has rotated or published.
func (k *Keys) Follow(ctx context.Context) error {
	if err := k.loadStatements(ctx); err != nil {
		return fmt.Errorf("follow keys: %w", err)
	}
	if err := k.loadTokenKeys(ctx); err != nil {
		return fmt.Errorf("follow keys: %w", err)
	}
	return nil
}

// RootPublic is what devices pin.
func (k *Keys) RootPublic() *ecdsa.PublicKey { return k.root.Public() }

// Derive gives 32 secret bytes that are the same for the same purpose at every
// start and on every node.
func (k *Keys) Derive(purpose string) []byte {
	b, err := hkdf.Key(sha256.New, k.secret, nil, "cardea "+purpose, 32)
	if err != nil {
		panic("token: derive 32 bytes: " + err.Error())
	}
	return b
}

// JWKS is the public half of the token keys as a JSON Web Key Set, the current
// one first.
func (k *Keys) JWKS() json.RawMessage {
	k.mu.RLock()
	keys := []signingKey{k.current}
	if k.previous.kid != k.current.kid {
		keys = append(keys, k.previous)
	}
	k.mu.RUnlock()
	public := make([]*ecdsa.PublicKey, len(keys))
	for i, key := range keys {
		public[i] = key.Public()
	}
	return webKeys(public)
}

// webKeys writes public keys as a JSON Web Key Set, each with its thumbprint as
// "kid".
func webKeys(keys []*ecdsa.PublicKey) json.RawMessage {
	set := struct {
		Keys []map[string]any `json:"keys"`
	}{}
	for _, key := range keys {
		members := map[string]any{"kid": jose.Thumbprint(key), "use": "sig", "alg": "ES256"}
		if err := json.Unmarshal(jose.JWK(key), &members); err != nil {
			panic("token: our own JWK: " + err.Error())
		}
		set.Keys = append(set.Keys, members)
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic("token: our own JWKS: " + err.Error())
	}
	return text
}

var errUnknownKey = errors.New("signed by an unknown key")

func (k *Keys) public(kid string) (*ecdsa.PublicKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch kid {
	case k.current.kid:
		return k.current.Public(), nil
	case k.previous.kid:
		return k.previous.Public(), nil
	}
	return nil, errUnknownKey
}
