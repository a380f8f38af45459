package accountdb_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

func newGrant() pairing.Grant {
	now := cardea.MillisOf(time.Now())
	return pairing.Grant{
		ID: pairing.NewGrantID(), State: pairing.GrantPending, Client: "agent", Scope: "consent profile", JKT: "key",
		Device: pairing.Device{Kind: "speaker", Model: "Hall One", Serial: "1234"},
		Code:   pairing.NewSecret().Hash(), UserCode: pairing.NewSecret().Hash(), Network: pairing.NewSecret().Hash(),
		Requested: now, Expires: now.Add(10 * time.Minute),
	}
}

func startGrant(t *testing.T, s accountdb.Grants) pairing.Grant {
	t.Helper()
	g := newGrant()
	if err := s.Start(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	return g
}

type rule = func(cardea.Millis, *pairing.Grant, pairing.Owner) (pairing.Note, error)

func approve(now cardea.Millis, g *pairing.Grant, o pairing.Owner) (pairing.Note, error) {
	return g.Approve(o, "Grandmother's kitchen", now)
}

func redeem(next cardea.Hash, at cardea.Millis) rule {
	return func(now cardea.Millis, g *pairing.Grant, o pairing.Owner) (pairing.Note, error) {
		return g.Redeem(pairing.Use{Token: g.Code, JKT: "key", Next: next, Arrived: at}, o, now)
	}
}

func change(t *testing.T, s accountdb.Grants, key pairing.GrantKey, account cardea.AccountID, f rule) {
	t.Helper()
	if err := s.Change(t.Context(), key, account, nil, f); err != nil {
		t.Fatal(err)
	}
}

// activeGrant is a grant with its first tokens.
func activeGrant(t *testing.T, db *accountdb.DB, owner cardea.AccountID) (pairing.Grant, cardea.Hash) {
	t.Helper()
	s := db.Grants()
	g := startGrant(t, s)
	next := pairing.NewSecret().Hash()
	change(t, s, pairing.GrantKey{UserCode: g.UserCode}, owner, approve)
	change(t, s, pairing.GrantKey{Code: g.Code}, cardea.AccountID{}, redeem(next, 0))
	return g, next
}

func TestGrantIsFoundByEachOfItsKeys(t *testing.T) {
	db := accountdbtest.Open(t)
	owner := accountdbtest.Account(t, db).ID
	g, refresh := activeGrant(t, db, owner)
	var first pairing.Grant
	for i, key := range []pairing.GrantKey{{ID: g.ID}, {Code: g.Code}, {UserCode: g.UserCode}, {Refresh: refresh}} {
		got, err := db.Grants().Find(t.Context(), key)
		if err != nil {
			t.Fatal(i, err)
		}
		if i == 0 {
			first = got
		}
		if got != first {
			t.Errorf("%d: found %+v, not %+v", i, got, first)
		}
	}
	var named pairing.Grant
	err := db.View(t.Context(), func(tx *accountdb.Tx) (err error) {
		named, err = tx.FindGrant(pairing.GrantKey{Refresh: refresh})
		return err
	})
	if err != nil || named.Name != "Grandmother's kitchen" || named.ID != first.ID {
		t.Errorf("%+v, %v", named, err)
	}
	if first.Name != "" || first.Account != owner || first.State != pairing.GrantActive || first.Device != g.Device ||
		first.Successor != refresh || first.Predecessor != g.Code || first.Set != 1 || first.Network != g.Network || first.Scope != g.Scope {
		t.Errorf("%+v", first)
	}
	for i, key := range []pairing.GrantKey{{}, {ID: "x"}, {Code: refresh}, {UserCode: g.Code}, {Refresh: g.Code}} {
		if _, err := db.Grants().Find(t.Context(), key); !errors.Is(err, pairing.ErrNoGrant) {
			t.Error(i, err)
		}
		err := db.Grants().Change(t.Context(), key, owner, nil, func(cardea.Millis, *pairing.Grant, pairing.Owner) (pairing.Note, error) {
			t.Error("called for no grant")
			return "", nil
		})
		if !errors.Is(err, pairing.ErrNoGrant) {
			t.Error(i, err)
		}
	}
}

// Of the grants under one label the newest is the one that is meant; its hash
// goes with the codes.
func TestGrantUnderALabel(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		path := filepath.Join(t.TempDir(), "cloud.db")
		s := accountdbtest.OpenAt(t, path, accountdb.NewKey()).Grants()
		label := pairing.NewSecret().Hash()
		start := func(at cardea.Millis) pairing.Grant {
			g := newGrant()
			g.Label, g.Presses, g.Requested = label, 3, at
			if err := s.Start(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			return g
		}
		now := cardea.MillisOf(time.Now())
		newest := start(now.Add(time.Second))
		start(now)
		got, err := s.Find(t.Context(), pairing.GrantKey{Label: label})
		if err != nil || got.ID != newest.ID || got.Label != label || got.Presses != 3 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Find(t.Context(), pairing.GrantKey{Label: newest.Code}); !errors.Is(err, pairing.ErrNoGrant) {
			t.Errorf("another label: %v", err)
		}
		pass(path, 2*time.Hour)
		startGrant(t, s) // which forgets
		if _, err := s.Find(t.Context(), pairing.GrantKey{Label: label}); !errors.Is(err, pairing.ErrNoGrant) {
			t.Errorf("long after: %v", err)
		}
	})
}

func TestTakenCodes(t *testing.T) {
	s := accountdbtest.Open(t).Grants()
	g := startGrant(t, s)
	same := newGrant()
	same.UserCode = g.UserCode
	if err := s.Start(t.Context(), same); !errors.Is(err, pairing.ErrTaken) {
		t.Error(err)
	}
	same = newGrant()
	same.Code = g.Code
	if err := s.Start(t.Context(), same); !errors.Is(err, pairing.ErrTaken) {
		t.Error(err)
	}
}

func TestCodesAreForgotten(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		path := filepath.Join(t.TempDir(), "cloud.db")
		db := accountdbtest.OpenAt(t, path, accountdb.NewKey())
		s := db.Grants()
		owner := accountdbtest.Account(t, db).ID
		pending, approved := startGrant(t, s), startGrant(t, s)
		change(t, s, pairing.GrantKey{UserCode: approved.UserCode}, owner, approve)
		active, refresh := activeGrant(t, db, owner)
		pass(path, 69*time.Minute)
		startGrant(t, s)
		for _, g := range []pairing.Grant{pending, approved, active} {
			if _, err := s.Find(t.Context(), pairing.GrantKey{UserCode: g.UserCode}); err != nil {
				t.Error("forgotten too soon:", err)
			}
		}
		pass(path, 2*time.Minute)
		startGrant(t, s)
		for _, g := range []pairing.Grant{pending, approved} {
			if _, err := s.Find(t.Context(), pairing.GrantKey{ID: g.ID}); !errors.Is(err, pairing.ErrNoGrant) {
				t.Error(err)
			}
		}
		got, err := s.Find(t.Context(), pairing.GrantKey{Refresh: refresh})
		if err != nil || got.ID != active.ID || !got.Code.IsZero() || !got.UserCode.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAnErrorUndoesAChange(t *testing.T) {
	db := accountdbtest.Open(t)
	s := db.Grants()
	owner := accountdbtest.Account(t, db).ID
	g := startGrant(t, s)
	proof := pairing.ProofID{Hash: pairing.NewSecret().Hash(), Until: cardea.MillisOf(time.Now().Add(time.Hour))}
	sentinel := errors.New("no")
	err := s.Change(t.Context(), pairing.GrantKey{ID: g.ID}, owner, []pairing.ProofID{proof},
		func(now cardea.Millis, g *pairing.Grant, o pairing.Owner) (pairing.Note, error) {
			g.Approve(o, "x", now)
			return pairing.NoteApproved, sentinel
		})
	if !errors.Is(err, sentinel) {
		t.Fatal(err)
	}
	if got, err := s.Find(t.Context(), pairing.GrantKey{ID: g.ID}); err != nil || got != g {
		t.Errorf("%+v, %v", got, err)
	}
	// The proof was not used up either.
	err = s.Change(t.Context(), pairing.GrantKey{ID: g.ID}, owner, []pairing.ProofID{proof}, approve)
	if err != nil {
		t.Error(err)
	}
}

func TestProofsAreUsedOnceAndForgotten(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		path := filepath.Join(t.TempDir(), "cloud.db")
		db := accountdbtest.OpenAt(t, path, accountdb.NewKey())
		s := db.Grants()
		owner := accountdbtest.Account(t, db).ID
		g, _ := activeGrant(t, db, owner)
		proof := pairing.ProofID{Hash: pairing.NewSecret().Hash(), Until: cardea.MillisOf(time.Now().Add(time.Minute))}
		count := func(proofs ...pairing.ProofID) error {
			return s.Change(t.Context(), pairing.GrantKey{ID: g.ID}, cardea.AccountID{}, proofs,
				func(_ cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
					g.WrongKeys++
					return "", nil
				})
		}
		if err := count(proof); err != nil {
			t.Fatal(err)
		}
		other := pairing.ProofID{Hash: pairing.NewSecret().Hash(), Until: proof.Until}
		for _, proofs := range [][]pairing.ProofID{{proof}, {other, proof}, {other, other}} {
			if err := count(proofs...); !errors.Is(err, pairing.ErrReplayed) {
				t.Error(err)
			}
		}
		if err := count(other); err != nil {
			t.Error("a proof was used up by a replay beside it:", err)
		}
		if got, _ := s.Find(t.Context(), pairing.GrantKey{ID: g.ID}); got.WrongKeys != 2 {
			t.Errorf("counted %d", got.WrongKeys)
		}
		pass(path, 2*time.Minute)
		if err := count(proof); err != nil {
			t.Error("never forgotten:", err)
		}
	})
}

// Of sixteen that redeem one code at the same time, on as many connections, one
// gets tokens and the others hear why not.
func TestSixteenRaceOneRedemption(t *testing.T) {
	db := accountdbtest.Open(t)
	s := db.Grants()
	owner := accountdbtest.Account(t, db).ID
	g := startGrant(t, s)
	change(t, s, pairing.GrantKey{UserCode: g.UserCode}, owner, approve)
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 16 {
		all.Go(func() {
			var answer error
			f := redeem(pairing.NewSecret().Hash(), cardea.MillisOf(time.Now()))
			err := s.Change(t.Context(), pairing.GrantKey{Code: g.Code}, cardea.AccountID{}, nil,
				func(now cardea.Millis, g *pairing.Grant, o pairing.Owner) (note pairing.Note, err error) {
					note, answer = f(now, g, o)
					return note, nil
				})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if answer == nil {
				won++
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func TestRefreshTokensAreRememberedForAWhile(t *testing.T) {
	db := accountdbtest.Open(t)
	s := db.Grants()
	g, first := activeGrant(t, db, accountdbtest.Account(t, db).ID)
	tokens := []cardea.Hash{first}
	for range 100 {
		next := pairing.NewSecret().Hash()
		change(t, s, pairing.GrantKey{Refresh: tokens[len(tokens)-1]}, cardea.AccountID{},
			func(now cardea.Millis, g *pairing.Grant, o pairing.Owner) (pairing.Note, error) {
				return g.Refresh(pairing.Use{Token: g.Successor, JKT: "key", Next: next}, o, now)
			})
		tokens = append(tokens, next)
	}
	remembered := 0
	for _, h := range tokens {
		got, err := s.Find(t.Context(), pairing.GrantKey{Refresh: h})
		if err == nil && got.ID == g.ID {
			remembered++
		}
	}
	if remembered != 64 {
		t.Errorf("%d remembered", remembered)
	}
}

func TestOwnersGrants(t *testing.T) {
	db := accountdbtest.Open(t)
	s := db.Grants()
	owner, other := accountdbtest.Account(t, db).ID, accountdbtest.Account(t, db).ID
	active, _ := activeGrant(t, db, owner)
	activeGrant(t, db, other)
	startGrant(t, s)
	approved, denied, revoked := startGrant(t, s), startGrant(t, s), startGrant(t, s)
	change(t, s, pairing.GrantKey{ID: approved.ID}, owner, approve)
	change(t, s, pairing.GrantKey{ID: denied.ID}, owner, func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
		return g.Deny(now)
	})
	change(t, s, pairing.GrantKey{ID: revoked.ID}, owner, approve)
	revoke := func(id pairing.GrantID) error {
		return db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.RevokeGrant(id) })
	}
	for range 2 {
		if err := revoke(revoked.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := revoke("none"); !errors.Is(err, pairing.ErrNoGrant) {
		t.Error(err)
	}
	all, err := s.List(t.Context(), owner)
	if err != nil || len(all) != 2 || all[0].ID != active.ID || all[1].ID != approved.ID || all[1].Name != "Grandmother's kitchen" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestOwnerOfAChange(t *testing.T) {
	db := accountdbtest.Open(t)
	s := db.Grants()
	account := accountdbtest.Account(t, db)
	g := startGrant(t, s)
	see := func(account cardea.AccountID) (seen pairing.Owner) {
		t.Helper()
		change(t, s, pairing.GrantKey{ID: g.ID}, account, func(_ cardea.Millis, _ *pairing.Grant, o pairing.Owner) (pairing.Note, error) {
			seen = o
			return "", nil
		})
		return seen
	}
	if got := see(cardea.AccountID{}); got != (pairing.Owner{}) {
		t.Errorf("nobody's: %+v", got)
	}
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		_, err := tx.SetRoles(account.ID, "driver")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := pairing.Owner{Account: account.ID, Subject: account.Subject, Active: true, Roles: "driver"}
	if got := see(account.ID); got != want {
		t.Errorf("the answering one: %+v", got)
	}
	change(t, s, pairing.GrantKey{ID: g.ID}, account.ID, approve)
	if got := see(cardea.AccountID{}); got != want {
		t.Errorf("its own: %+v", got)
	}
	if err := db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Disable(account.ID, true) }); err != nil {
		t.Fatal(err)
	}
	if got := see(cardea.AccountID{}); got.Active {
		t.Error("a disabled account is active")
	}
}

func TestDeviceWithALink(t *testing.T) {
	db := accountdbtest.Open(t)
	s := db.Grants()
	device := cardea.DeviceID("thumbprint")
	proof := []pairing.ProofID{{Hash: pairing.NewSecret().Hash(), Until: cardea.MillisOf(time.Now().Add(time.Hour))}}
	if linked, err := s.UseDevice(t.Context(), device, proof); err != nil || linked {
		t.Fatal(linked, err)
	}
	l := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: accountdbtest.Account(t, db).ID, Device: device, Grant: "g"}
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		if err := tx.PutDevice(accountdb.Device{ID: device, PublicKey: []byte("{}")}); err != nil {
			return err
		}
		return tx.CreateLink(l, [32]byte{}, "x")
	})
	if err != nil {
		t.Fatal(err)
	}
	if linked, err := s.UseDevice(t.Context(), device, proof); err != nil || !linked {
		t.Fatal(linked, err)
	}
	if _, err := s.UseDevice(t.Context(), device, proof); !errors.Is(err, pairing.ErrReplayed) {
		t.Error(err)
	}
}

// Neither a code nor a name is readable in the files.
func TestGrantsAtRest(t *testing.T) {
	dir := t.TempDir()
	path, master := filepath.Join(dir, "cloud.db"), accountdb.NewKey()
	accountdbtest.Keep(t, path)
	secret := []byte("the cloud's own secret")
	t.Run("write", func(t *testing.T) {
		db := accountdbtest.OpenAt(t, path, master)
		activeGrant(t, db, accountdbtest.Account(t, db).ID)
		if _, err := db.Secrets().Secret(t.Context(), "s", func() []byte { return secret }); err != nil {
			t.Fatal(err)
		}
	})
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, text := range [][]byte{[]byte("Grandmother"), secret} {
		if accountdbtest.Holds(t, path, string(text)) {
			t.Errorf("the database holds %q", text)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(raw, text) {
				t.Errorf("%s holds %q", file, text)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	s := accountdbtest.Open(t).Secrets()
	made := 0
	fresh := func() []byte { made++; return []byte("first") }
	for range 2 {
		if got, err := s.Secret(t.Context(), "a", fresh); err != nil || string(got) != "first" {
			t.Fatal(got, err)
		}
	}
	if made != 1 {
		t.Errorf("made %d", made)
	}
	if _, err := s.Secret(t.Context(), "b", nil); !errors.Is(err, accountdb.ErrNotFound) {
		t.Error(err)
	}
	if err := s.Replace(t.Context(), "a", "b", []byte("second")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "second", "b": "first"} {
		if got, err := s.Secret(t.Context(), name, nil); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := s.Replace(t.Context(), "c", "d", []byte("only")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(t.Context(), "d", nil); !errors.Is(err, accountdb.ErrNotFound) {
		t.Error(err)
	}
}
