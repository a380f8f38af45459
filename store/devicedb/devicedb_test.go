package devicedb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// full is a link with every field set.
func full() devicedb.Link {
	l := devicedb.Link{
		ID: cardea.NewID[cardea.LinkID](), Key: wire.NewLinkKey(), Issuer: "https://id.example",
		UpURL: "https://id.example/v1/up", BrokerURL: "tls://mq.example:8883", Name: "Kitchen speaker",
		Root: []byte(`{"kty":"EC"}`), KeyList: []byte{1, 2, 3}, Statement: []byte{4, 5, 6},
		Revision: 7, BodyHash: cardea.Hash{7}, Head: cardea.Position{Era: 1, Seq: 9, Hash: cardea.Hash{9}},
		Decided: map[cardea.Key]cardea.Point{"voice/use": {Era: 1, Seq: 3}},
		Log:     cardea.NewLog(), Bar: cardea.ReasonRollback,
		Rejected: []cardea.Rejection{{Event: cardea.NewID[cardea.EventID](), Reason: cardea.RejectedBase}},
		Body: cardea.Body{
			Identity:    cardea.Identity{Subject: "subject", Name: "Anna Example"},
			Consents:    []cardea.Consent{{Key: "voice/use", Version: 2, Reason: cardea.ReasonGranted, Class: cardea.ClassA, Staleness: 30, ValidUntil: 5}},
			Preferences: []cardea.Preference{{Key: "voice_speed", Value: `"slow"`}},
			Orders:      []cardea.Order{{ID: cardea.NewID[cardea.OrderID](), Kind: cardea.OrderUnlink}},
		},
	}
	l.Log = l.Log.Append(cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "voice/use", Reach: cardea.ReachDevice, Base: l.Head})
	return l
}

func tokens() pairing.Tokens {
	return pairing.Tokens{AccessToken: "an access token", RefreshToken: "a refresh token", TokenType: "DPoP", ExpiresIn: 600}
}

func reopen(t *testing.T, db *devicedb.DB, path string) *devicedb.DB {
	t.Helper()
	if err := db.Check(); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return devicedbtest.OpenAt(t, path)
}

func TestEverythingOutlivesAReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	want := full()
	if err := db.Join(want, tokens()); err != nil {
		t.Fatal(err)
	}
	second := full()
	if err := db.Put(second); err != nil {
		t.Fatal(err)
	}
	waiting := devicedb.Pairing{
		Issuer: "https://id.example", Started: time.UnixMilli(1000).UTC(), Tokens: new(tokens()),
		Authorization: pairing.Authorization{DeviceCode: "a device code", UserCode: "WDJB-MJHT", ExpiresIn: 600, Interval: 5},
	}
	if err := db.PutPairing(waiting); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db, path)
	got, err := db.Link(want.ID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, got\n%#v\nwant\n%#v", err, got, want)
	}
	if all, err := db.Links(); err != nil || len(all) != 2 {
		t.Errorf("%d links, %v", len(all), err)
	}
	if id, ok := db.Active(); !ok || id != want.ID {
		t.Errorf("active is %v, %t", id, ok)
	}
	if got, err := db.Tokens(want.ID); err != nil || got != tokens() {
		t.Errorf("tokens: %v", err)
	}
	if p, ok, err := db.Pairing(); err != nil || !ok || !reflect.DeepEqual(p, waiting) {
		t.Errorf("pairing: %t, %v", ok, err)
	}
	if _, err := db.Tokens(second.ID); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("tokens of a link without: %v", err)
	}
}

func TestJoinAgainKeepsWhatWasDecided(t *testing.T) {
	db := devicedbtest.Open(t)
	held := full()
	if err := db.Join(held, tokens()); err != nil {
		t.Fatal(err)
	}
	if err := db.PutPairing(devicedb.Pairing{Issuer: "x"}); err != nil {
		t.Fatal(err)
	}
	again := devicedb.Link{ID: held.ID, Key: held.Key, Issuer: held.Issuer, Root: []byte("another"), KeyList: []byte("older"), UpURL: "https://elsewhere.example/v1/up", Name: "Kitchen"}
	if err := db.Join(again, pairing.Tokens{RefreshToken: "another"}); err != nil {
		t.Fatal(err)
	}
	got, err := db.Link(held.ID)
	if err != nil || got.UpURL != again.UpURL || got.Name != "Kitchen" || got.Revision != held.Revision ||
		len(got.Log.Entries) != 1 || got.Decided["voice/use"] != held.Decided["voice/use"] || got.Bar != held.Bar ||
		!bytes.Equal(got.Root, held.Root) || !bytes.Equal(got.KeyList, held.KeyList) {
		t.Errorf("%v, %#v", err, got)
	}
	if tk, err := db.Tokens(held.ID); err != nil || tk.RefreshToken != "another" {
		t.Errorf("tokens: %v", err)
	}
	if _, ok, _ := db.Pairing(); ok {
		t.Error("the pairing still waits")
	}
}

func TestChange(t *testing.T) {
	db := devicedbtest.Open(t)
	l := full()
	if err := db.Put(l); err != nil {
		t.Fatal(err)
	}
	if err := db.Change(l.ID, func(x *devicedb.Link) error { x.Revision = 8; return nil }); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if err := db.Change(l.ID, func(x *devicedb.Link) error { x.Revision = 9; return refused }); !errors.Is(err, refused) {
		t.Errorf("a refused change: %v", err)
	}
	if got, err := db.Link(l.ID); err != nil || got.Revision != 8 {
		t.Errorf("revision %d, %v", got.Revision, err)
	}
	nobody := cardea.NewID[cardea.LinkID]()
	if err := db.Change(nobody, func(*devicedb.Link) error { t.Error("called"); return nil }); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("changing nobody: %v", err)
	}
	if err := db.SetActive(nobody); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("activating nobody: %v", err)
	}
	if err := db.PutTokens(nobody, tokens()); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("tokens for nobody: %v", err)
	}
}

func TestLeave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	l := full()
	if err := db.Join(l, tokens()); err != nil {
		t.Fatal(err)
	}
	f := devicedb.Farewell{
		Link: l.ID, Key: l.Key, Issuer: l.Issuer, UpURL: l.UpURL, BrokerURL: l.BrokerURL, Root: l.Root, KeyList: l.KeyList,
		Ups: [][]byte{{1}, {2}}, Nonces: []cardea.Nonce{{3}, {4}},
	}
	if err := db.Leave(f); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db, path)
	if _, err := db.Link(l.ID); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("the link: %v", err)
	}
	if _, err := db.Tokens(l.ID); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("its tokens: %v", err)
	}
	if _, ok := db.Active(); ok {
		t.Error("it is still active")
	}
	all, err := db.Farewells()
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], f) {
		t.Errorf("farewells %#v, %v", all, err)
	}
	if err := db.DropFarewell(l.ID); err != nil {
		t.Fatal(err)
	}
	if all, err := db.Farewells(); err != nil || len(all) != 0 {
		t.Errorf("%d farewells, %v", len(all), err)
	}
}

func TestSecondAgentIsLockedOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	devicedbtest.OpenAt(t, path)
	began := time.Now()
	_, err := devicedb.Open(path, devicedbtest.Seal)
	if !errors.Is(err, devicedb.ErrLocked) || !strings.Contains(err.Error(), "stop the other agent") {
		t.Errorf("a second agent: %v", err)
	}
	if waited := time.Since(began); waited > 10*time.Second {
		t.Errorf("waited %v for the lock", waited)
	}
}

// edit opens the file as bbolt does, without an agent.
func edit(t *testing.T, path string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	raw, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.Update(f); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	if err := devicedbtest.OpenAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint32(nil, 2))
	})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := devicedb.Open(path, devicedbtest.Seal); !errors.Is(err, devicedb.ErrNewer) {
		t.Errorf("a newer file: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}

func TestOtherKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	if err := devicedbtest.OpenAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := devicedb.Open(path, [32]byte{9}); !errors.Is(err, devicedb.ErrSeal) {
		t.Errorf("opened with another key: %v", err)
	}
	devicedbtest.OpenAt(t, path)
}

func TestFilesThatAreNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	for _, size := range []int{1, 100, 4096, 20000} {
		if err := os.WriteFile(path, bytes.Repeat([]byte{7}, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := devicedb.Open(path, devicedbtest.Seal); !errors.Is(err, devicedb.ErrDamaged) {
			t.Errorf("%d bytes of nonsense: %v", size, err)
		}
	}
	if _, err := devicedb.Open(filepath.Join(path, "below", "a file"), devicedbtest.Seal); err == nil || errors.Is(err, devicedb.ErrDamaged) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	if err := devicedbtest.OpenAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o644)
	devicedbtest.OpenAt(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Damage, and a value moved to another place, take down their own link only.
func TestDamagedValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	hit, moved, good := full(), full(), full()
	for _, l := range []devicedb.Link{hit, moved, good} {
		if err := db.Join(l, tokens()); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	edit(t, path, func(tx *bbolt.Tx) error {
		links := tx.Bucket([]byte("links"))
		value := bytes.Clone(links.Get(hit.ID[:]))
		value[20] ^= 1
		if err := links.Put(hit.ID[:], value); err != nil {
			return err
		}
		return links.Put(moved.ID[:], bytes.Clone(links.Get(good.ID[:])))
	})
	slot := strings.TrimSuffix(path, ".db") + "-" + hit.ID.String() + ".slot"
	if err := os.WriteFile(slot, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	db = devicedbtest.OpenAt(t, path)
	all, err := db.Links()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d links, %v", len(all), err)
	}
	for _, l := range all {
		if l.ID == good.ID && !reflect.DeepEqual(l, good) {
			t.Error("the good link is not whole")
		}
		if l.ID != good.ID && (l.Bar != cardea.ReasonStore || l.Revision != 0 || l.Key != wire.LinkKey{}) {
			t.Errorf("a damaged link reads %#v", l)
		}
	}
	if _, err := db.Link(hit.ID); !errors.Is(err, devicedb.ErrDamaged) {
		t.Errorf("reading it: %v", err)
	}
	if err := db.Change(hit.ID, func(*devicedb.Link) error { return nil }); !errors.Is(err, devicedb.ErrDamaged) {
		t.Errorf("changing it: %v", err)
	}
	if _, err := db.Tokens(hit.ID); !errors.Is(err, devicedb.ErrDamaged) {
		t.Errorf("its tokens: %v", err)
	}
	if err := db.Delete(hit.ID); err != nil {
		t.Errorf("deleting it: %v", err)
	}
}

// A page of nonsense is an error, never the end of the process.
func TestDamagedPages(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "device.db")
	db := devicedbtest.OpenAt(t, path)
	l := full()
	for range 20 {
		if err := db.Join(l, tokens()); err != nil {
			t.Fatal(err)
		}
		l = full()
	}
	db.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for at := 2 * page; at+page <= len(whole); at += page {
		broken := bytes.Clone(whole)
		copy(broken[at:at+page], bytes.Repeat([]byte{0xa5}, page))
		hurt := filepath.Join(dir, fmt.Sprint(at))
		if err := os.WriteFile(hurt, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		visit(t, hurt)
	}
}

// visit reads everything from a damaged file.
func visit(t *testing.T, path string) {
	t.Helper()
	db, err := devicedb.Open(path, devicedbtest.Seal)
	if err != nil {
		if !errors.Is(err, devicedb.ErrDamaged) {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		return
	}
	defer db.Close()
	links, err := db.Links()
	if err != nil && !errors.Is(err, devicedb.ErrDamaged) {
		t.Errorf("%s: %v", filepath.Base(path), err)
	}
	for _, l := range links {
		if l.Bar != cardea.ReasonStore && l.Revision != 7 {
			t.Errorf("%s: a link reads %#v", filepath.Base(path), l)
		}
	}
	db.Farewells()
	db.Pairing()
	db.Active()
}

// Nothing of a person, and no key, can be read in the file, nor printed.
func TestNothingIsReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	l := full()
	if err := db.Join(l, tokens()); err != nil {
		t.Fatal(err)
	}
	p := devicedb.Pairing{Issuer: "https://id.example", Authorization: pairing.Authorization{DeviceCode: "a device code", UserCode: "WDJB-MJHT"}}
	if err := db.PutPairing(p); err != nil {
		t.Fatal(err)
	}
	f := devicedb.Farewell{Link: full().ID, Key: l.Key, Issuer: "https://id.example", Ups: [][]byte{[]byte("last words")}}
	if err := db.Leave(f); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := l.Key.MarshalText()
	secrets := []string{
		"Anna", "Kitchen", "subject", "voice", "id.example", "access token", "refresh token", "device code",
		"WDJB", "last words", "slow", string(l.Key[:]), string(key),
	}
	printed := fmt.Sprintf("%v %+v %s %v", l, l, l, f)
	for _, secret := range secrets {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("%q stands in the file", secret)
		}
		if strings.Contains(printed, secret) {
			t.Errorf("%q was printed: %s", secret, printed)
		}
	}
}

func TestClosedDatabase(t *testing.T) {
	db := devicedbtest.Open(t)
	db.Close()
	if err := db.Put(full()); err == nil || !db.Closed() {
		t.Errorf("writing to a closed database: %v", err)
	}
	if _, err := db.Links(); err == nil {
		t.Error("reading from a closed database")
	}
	if _, ok := db.Active(); ok {
		t.Error("somebody is active")
	}
}

func BenchmarkChange(b *testing.B) {
	db := devicedbtest.Open(b)
	l := full()
	if err := db.Put(l); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := db.Change(l.ID, func(x *devicedb.Link) error { x.Revision++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
