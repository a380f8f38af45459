package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
)

const (
	// listLife is how long a list counts. A newer one is signed at half of it,
	// so what a device gets today it can use for a year.
	listLife = 2 * 365 * 24 * time.Hour
	// listKeys is how many statement keys a list has: the current one, and the
	// one before for what is still on its way.
	listKeys = 2
)

// statements is how the statement key and the lists are kept, as JSON.
type statements struct {
	Key   []byte   `json:"key"`   // the current private key, PKCS #8
	Lists [][]byte `json:"lists"` // signed, the newest last
}

// loadStatements reads the statement key and its lists. They begin with the key
// that an earlier program may have left, and no list.
func (k *Keys) loadStatements(ctx context.Context) error {
	first, err := k.storage.Secret(ctx, statementName, fresh)
	if err != nil {
		return err
	}
	if _, err := jose.ParsePrivateKey(first); err != nil {
		return fmt.Errorf("first statement key: %w", err)
	}
	text, err := k.storage.Secret(ctx, statementsName, func() []byte {
		text, err := json.Marshal(statements{Key: first})
		if err != nil {
			panic("token: bytes as JSON: " + err.Error())
		}
		return text
	})
	if err != nil {
		return err
	}
	return k.useStatements(text)
}

func (k *Keys) useStatements(text []byte) error {
	var s statements
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("statement keys: %w", err)
	}
	key, err := jose.ParsePrivateKey(s.Key)
	if err != nil {
		return fmt.Errorf("statement key: %w", err)
	}
	past := map[string]*ecdsa.PublicKey{jose.Thumbprint(key.Public()): key.Public()}
	for _, signed := range s.Lists {
		list, err := wire.OpenKeyList(signed, k.root.Public())
		if err != nil {
			return err
		}
		for _, pub := range list.Keys {
			past[jose.Thumbprint(pub)] = pub
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.statement, k.lists, k.past = key, s.Lists, past
	return nil
}

// Statement signs what is stated to devices. Ask for it at each message: after a
// rotation it is another one.
func (k *Keys) Statement() crypto.Signer {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.statement.Signer()
}

// KeyList is the newest signed list, for devices; nil before the first Publish.
func (k *Keys) KeyList() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.lists) == 0 {
		return nil
	}
	return k.lists[len(k.lists)-1]
}

// Stated finds any statement key there ever was, current or retired, by its
// thumbprint: for what devices still hold. It is a wire.Trust.
func (k *Keys) Stated(kid string) (*ecdsa.PublicKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	pub, ok := k.past[kid]
	return pub, ok
}

// StatedJWKS is every statement key there ever was as a JSON Web Key Set, the
// current one first: with them whoever holds a receipt of ours checks it, however
// old it is.
func (k *Keys) StatedJWKS() json.RawMessage {
	k.mu.RLock()
	current := jose.Thumbprint(k.statement.Public())
	keys := []*ecdsa.PublicKey{k.past[current]}
	for _, kid := range slices.Sorted(maps.Keys(k.past)) {
		if kid != current {
			keys = append(keys, k.past[kid])
		}
	}
	k.mu.RUnlock()
	return webKeys(keys)
}

// Publish makes sure that the newest list is the newest there ever was, names
// these certificates, in DER, as anchors for TLS, and still counts for half of
// its life; else it signs one that does. Call it at the start, and then every
// day.
func (k *Keys) Publish(ctx context.Context, anchors [][]byte, now time.Time) error {
	forgotten, err := k.forgotten(ctx)
	if err == nil && forgotten {
		err = k.RotateStatement(ctx, now)
	}
	if err != nil {
		return err
	}
	if list, err := k.newest(); err == nil && sameAnchors(list.Anchors, anchors) && list.NotAfter.Time().Sub(now) > listLife/2 {
		return nil
	}
	return k.changeStatements(ctx, func(s *statements, newest wire.KeyList) error {
		key, err := jose.ParsePrivateKey(s.Key)
		if err != nil {
			return err
		}
		if len(newest.Keys) == 0 {
			newest.Keys = []*ecdsa.PublicKey{key.Public()}
		}
		newest.Anchors = anchors
		return k.sign(s, newest, now)
	})
}

// RotateStatement makes a new statement key and a list with it and the one
// before. A key that leaked is out of the list after two rotations. Devices that
// meet the new key fetch the list.
func (k *Keys) RotateStatement(ctx context.Context, now time.Time) error {
	return k.changeStatements(ctx, func(s *statements, newest wire.KeyList) error {
		old, err := jose.ParsePrivateKey(s.Key)
		if err != nil {
			return err
		}
		if len(newest.Keys) == 0 {
			newest.Keys = []*ecdsa.PublicKey{old.Public()}
		}
		key := jose.GenerateKey()
		s.Key = key.DER()
		newest.Keys = slices.Insert(newest.Keys, 0, key.Public())
		newest.Keys = newest.Keys[:min(len(newest.Keys), listKeys)]
		return k.sign(s, newest, now)
	})
}

var errNoList = errors.New("no key list was signed yet")

func (k *Keys) newest() (wire.KeyList, error) {
	signed := k.KeyList()
	if signed == nil {
		return wire.KeyList{}, errNoList
	}
	return wire.OpenKeyList(signed, k.root.Public())
}

// forgotten reports whether a list was signed that is newer than those in the
// database: its current key may be out of service.
func (k *Keys) forgotten(ctx context.Context) (bool, error) {
	noted, err := k.storage.Noted(ctx)
	if err != nil {
		return false, fmt.Errorf("key lists: %w", err)
	}
	newest, err := k.newest()
	if err != nil && !errors.Is(err, errNoList) {
		return false, err
	}
	return k.remember(new(statements), newest, noted).Version > newest.Version, nil
}

// remember adds the lists that are newer than the newest, and returns what is the
// newest then. What the root has not signed is of another cloud.
func (k *Keys) remember(s *statements, newest wire.KeyList, noted [][]byte) wire.KeyList {
	for _, signed := range noted {
		if list, err := wire.OpenKeyList(signed, k.root.Public()); err == nil && list.Version > newest.Version {
			newest, s.Lists = list, append(s.Lists, signed)
		}
	}
	return newest
}

// changeStatements lets change work on what is kept and the newest list there
// ever was, in one durable step, and goes on with what came of it.
func (k *Keys) changeStatements(ctx context.Context, change func(*statements, wire.KeyList) error) error {
	noted, err := k.storage.Noted(ctx)
	if err != nil {
		return fmt.Errorf("sign key list: %w", err)
	}
	var kept []byte
	err = k.storage.Change(ctx, statementsName, func(text []byte) (_, list []byte, err error) {
		var s statements
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, nil, err
		}
		var newest wire.KeyList
		if n := len(s.Lists); n > 0 {
			if newest, err = wire.OpenKeyList(s.Lists[n-1], k.root.Public()); err != nil {
				return nil, nil, err
			}
		}
		if err := change(&s, k.remember(&s, newest, noted)); err != nil {
			return nil, nil, err
		}
		kept, err = json.Marshal(s)
		return kept, s.Lists[len(s.Lists)-1], err
	})
	if err == nil {
		err = k.useStatements(kept)
	}
	if err != nil {
		return fmt.Errorf("sign key list: %w", err)
	}
	return nil
}

// sign adds a list. Its version is above the last one's, and, by the clock, above
// that of any list signed before, which a restored database may not know of.
func (k *Keys) sign(s *statements, list wire.KeyList, now time.Time) error {
	list.Version = max(list.Version+1, uint64(max(now.UnixMilli(), 0)))
	list.NotAfter = cardea.MillisOf(now.Add(listLife))
	signed, err := wire.SignKeyList(list, k.root.Signer())
	if err != nil {
		return err
	}
	s.Lists = append(s.Lists, signed)
	return nil
}

func sameAnchors(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }
