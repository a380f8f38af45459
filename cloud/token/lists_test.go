package token_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

var spring = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

func publish(t *testing.T, k *token.Keys, now time.Time, anchors ...[]byte) wire.KeyList {
	t.Helper()
	if err := k.Publish(t.Context(), anchors, now); err != nil {
		t.Fatal(err)
	}
	return newest(t, k)
}

// newest is the list as a device reads it.
func newest(t *testing.T, k *token.Keys) wire.KeyList {
	t.Helper()
	list, err := wire.OpenKeyList(k.KeyList(), k.RootPublic())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func statementKey(k *token.Keys) *ecdsa.PublicKey { return k.Statement().Public().(*ecdsa.PublicKey) }

func rotateStatement(t *testing.T, k *token.Keys, now time.Time) {
	t.Helper()
	if err := k.RotateStatement(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

func TestPublish(t *testing.T) {
	db := accountdbtest.Open(t)
	k := open(t, db)
	if k.KeyList() != nil {
		t.Error("a list before there was one")
	}
	first := publish(t, k, spring)
	if len(first.Keys) != 1 || !first.Keys[0].Equal(statementKey(k)) || len(first.Anchors) != 0 {
		t.Errorf("%+v", first)
	}
	if left := first.NotAfter.Time().Sub(spring); left < 700*24*time.Hour {
		t.Errorf("it counts for %s", left)
	}
	again := publish(t, open(t, db), spring.AddDate(0, 11, 0))
	if again.Version != first.Version {
		t.Error("another list while the first was young")
	}
	anchored := publish(t, k, spring.AddDate(0, 11, 0), []byte("one"), []byte("two"))
	if anchored.Version <= first.Version || len(anchored.Anchors) != 2 || !anchored.Keys[0].Equal(first.Keys[0]) {
		t.Errorf("with anchors: %+v", anchored)
	}
	rotateStatement(t, k, spring.AddDate(0, 11, 0))
	if list := newest(t, k); len(list.Anchors) != 2 {
		t.Error("a rotation lost the anchors")
	}
	old := newest(t, k)
	renewed := publish(t, k, spring.AddDate(2, 1, 0), []byte("one"), []byte("two"))
	if renewed.Version <= old.Version || renewed.NotAfter <= old.NotAfter || len(renewed.Keys) != 2 {
		t.Errorf("grown old: %+v", renewed)
	}
}

func TestStatementRotation(t *testing.T) {
	db := accountdbtest.Open(t)
	k := open(t, db)
	lists := []wire.KeyList{publish(t, k, spring)}
	keys := []*ecdsa.PublicKey{statementKey(k)}
	for range 3 { // three in one second
		rotateStatement(t, k, spring)
		lists, keys = append(lists, newest(t, k)), append(keys, statementKey(k))
	}
	for i, list := range lists[1:] {
		if list.Version <= lists[i].Version || len(list.Keys) != 2 || !list.Keys[0].Equal(keys[i+1]) || !list.Keys[1].Equal(keys[i]) {
			t.Errorf("list %d: version %d with %d keys", i+1, list.Version, len(list.Keys))
		}
	}
	for name, k := range map[string]*token.Keys{"at once": k, "after a restart": open(t, db)} {
		if !statementKey(k).Equal(keys[3]) || newest(t, k).Version != lists[3].Version {
			t.Errorf("%s: not the newest", name)
		}
		for i, pub := range keys { // for what devices still hold
			if got, ok := k.Stated(jose.Thumbprint(pub)); !ok || !got.Equal(pub) {
				t.Errorf("%s: key %d is forgotten", name, i)
			}
		}
		if _, ok := k.Stated("nobody"); ok {
			t.Errorf("%s: any key is known", name)
		}
	}
	// A key that leaked can sign a list; nobody who has the root takes it.
	forged, err := wire.SignKeyList(wire.KeyList{Version: 1 << 40, Keys: keys[:1], NotAfter: cardea.MillisOf(spring)}, k.Statement())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.OpenKeyList(forged, k.RootPublic()); !errors.Is(err, wire.ErrSignature) {
		t.Error(err)
	}
}

// A database from a backup does not know its last lists. The next one is above
// them all the same.
func TestListOfARestoredCloud(t *testing.T) {
	lost, restored := open(t, accountdbtest.Open(t)), open(t, accountdbtest.Open(t))
	publish(t, lost, spring)
	publish(t, restored, spring)
	for day := range 5 {
		rotateStatement(t, lost, spring.AddDate(0, 0, day))
	}
	rotateStatement(t, restored, spring.AddDate(0, 0, 6))
	if newest(t, restored).Version <= newest(t, lost).Version {
		t.Error("devices that hold a later list will not take it")
	}
}

// The same with what was noted beside it: the key of a list it has forgotten
// signs no more, it is still known, for what devices hold, and what was taken out
// of service does not come back.
func TestForgottenListsAreRemembered(t *testing.T) {
	path, master := filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey()
	backup := path + ".backup"
	var signed []*ecdsa.PublicKey
	var last wire.KeyList
	t.Run("before", func(t *testing.T) {
		k := open(t, accountdbtest.OpenAt(t, path, master))
		publish(t, k, spring, []byte("one"))
		signed = append(signed, statementKey(k))
		if err := accountdb.Backup(t.Context(), path, backup); err != nil {
			t.Fatal(err)
		}
		for range 3 { // in one second, so that the clock is no help
			rotateStatement(t, k, spring)
			signed = append(signed, statementKey(k))
		}
		last = newest(t, k)
	})
	if _, err := accountdb.Restore(t.Context(), path, backup, master); err != nil {
		t.Fatal(err)
	}
	db := accountdbtest.OpenAt(t, path, master)
	k := open(t, db)
	list := publish(t, k, spring.AddDate(-1, 0, 0), []byte("one"))
	if list.Version <= last.Version || !list.Keys[0].Equal(statementKey(k)) || !list.Keys[1].Equal(signed[3]) || len(list.Anchors) != 1 {
		t.Errorf("version %d after %d, %d keys", list.Version, last.Version, len(list.Keys))
	}
	for i, pub := range signed {
		if pub.Equal(statementKey(k)) {
			t.Errorf("key %d signs again", i)
		}
		if _, ok := k.Stated(jose.Thumbprint(pub)); !ok {
			t.Errorf("key %d is forgotten", i)
		}
	}
	if again := publish(t, open(t, db), spring.AddDate(-1, 0, 1), []byte("one")); again.Version != list.Version {
		t.Error("another list at the next start")
	}
}

// What another cloud has noted there counts for nothing.
func TestForeignListsAreNotTaken(t *testing.T) {
	db := accountdbtest.Open(t)
	other := open(t, accountdbtest.Open(t))
	publish(t, other, spring.AddDate(9, 0, 0))
	k := open(t, db)
	first := publish(t, k, spring)
	err := db.Secrets().Change(t.Context(), "root", func(root []byte) ([]byte, []byte, error) { return root, other.KeyList(), nil })
	if err != nil {
		t.Fatal(err)
	}
	if again := publish(t, k, spring); again.Version != first.Version {
		t.Error("a list of another root")
	}
}

// A database of before there were lists goes on with its statement key.
func TestFirstStatementKeyIsKept(t *testing.T) {
	db := accountdbtest.Open(t)
	key := jose.GenerateKey()
	if _, err := db.Secrets().Secret(t.Context(), "statement", key.DER); err != nil {
		t.Fatal(err)
	}
	k := open(t, db)
	if list := publish(t, k, spring); !list.Keys[0].Equal(key.Public()) || !statementKey(k).Equal(key.Public()) {
		t.Error("another key")
	}
}

// TestStatedJWKS: the key of a statement, and so of a receipt, is found however many
// came after it; tokens are verified with none of them.
func TestStatedJWKS(t *testing.T) {
	k := open(t, accountdbtest.Open(t))
	publish(t, k, spring)
	var all []string
	for range 4 {
		all = append(all, jose.Thumbprint(statementKey(k)))
		rotateStatement(t, k, spring)
	}
	all = append(all, jose.Thumbprint(statementKey(k)))
	var set struct {
		Keys []struct{ Kid, Use, Alg, D string }
	}
	if err := json.Unmarshal(k.StatedJWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != len(all) || set.Keys[0].Kid != all[len(all)-1] {
		t.Errorf("%d keys, the first %s", len(set.Keys), set.Keys[0].Kid)
	}
	for _, key := range set.Keys {
		if !slices.Contains(all, key.Kid) || key.Use != "sig" || key.Alg != "ES256" || key.D != "" {
			t.Errorf("%+v", key)
		}
		if strings.Contains(string(k.JWKS()), key.Kid) {
			t.Errorf("%s verifies tokens too", key.Kid)
		}
	}
}
