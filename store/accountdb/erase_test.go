package accountdb_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// What becomes of each table that knows accounts when one is erased.
var accountTables = map[string]string{
	"accounts":     "kept without its key and roles: a pseudonym and the head of the chain",
	"ledger":       "kept: the evidence of what was decided, under the pseudonym, and of no value",
	"payloads":     "deleted",
	"settings":     "deleted",
	"links":        "kept until devices have proved, without their names",
	"erased_links": "made",
	"erasures":     "made",
	"audit":        "kept: who did what, and nothing personal",
	"grants":       "kept as ended, without names and serial numbers",
	"logins":       "deleted",
	"sessions":     "deleted",
	"identities":   "deleted",
	"passkeys":     "deleted",
	"claims":       "deleted",
	"browsers":     "deleted",
	"mail":         "deleted",
	"undos":        "deleted",
	"events":       "deleted",
	"assurances":   "kept: how sure it was that the owner made an entry",
	"shown":        "kept: what text was read, which is the same for all",
}

// TestEraseKnowsEveryTable fails for a table that nobody has thought of.
func TestEraseKnowsEveryTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	openFile(t, path, accountdb.NewKey())
	raw := openRaw(t, path)
	rows, err := raw.Query(`SELECT DISTINCT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND (c.name = 'account' OR m.name = 'accounts') ORDER BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := 0
	for ; rows.Next(); found++ {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if accountTables[name] == "" {
			t.Errorf("%s knows accounts: have Tx.Erase take its rows away, or say here why they stay", name)
		}
	}
	if err := rows.Err(); err != nil || found == 0 {
		t.Errorf("%d tables: %v", found, err)
	}
}

// openFile opens a database in a file, whatever the other tests run on.
func openFile(t *testing.T, path string, master accountdb.Key) *accountdb.DB {
	t.Helper()
	db, err := accountdb.Open(t.Context(), path, master)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) // again, in some tests
	return db
}

func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	raw, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

const name = "Ada Lovelace-Example"

// lived makes an account with everything that is personal, and says what of it
// stands in the database.
func lived(t *testing.T, db *accountdb.DB, path string) (account cardea.AccountID, personal [][]byte) {
	t.Helper()
	account, err := db.Register(t.Context(), "ada@example.com", "hash")
	if err == nil {
		err = db.StartSession(t.Context(), cardea.Hash{1}, account, 1e15)
	}
	if err == nil {
		err = db.Update(t.Context(), func(tx *accountdb.Tx) error {
			if err := tx.SetName(account, name); err != nil {
				return err
			}
			e := cardea.Entry{By: cardea.Owner, Decision: cardea.Decision{
				Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "greeting", Value: `"` + name + `"`,
			}}
			_, err := tx.Append(account, e)
			return errors.Join(err, told(tx, account))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	raw := openRaw(t, path)
	defer raw.Close()
	for _, query := range []string{
		`SELECT key_sealed FROM accounts`, `SELECT name_sealed FROM accounts`, `SELECT email_sealed FROM logins`, `SELECT lookup FROM logins`,
		`SELECT sealed FROM payloads`, `SELECT salt FROM payloads`,
	} {
		var value []byte
		if err := raw.QueryRow(query).Scan(&value); err != nil || len(value) < 16 {
			t.Fatalf("%s: %x, %v", query, value, err)
		}
		personal = append(personal, value)
	}
	return account, append(personal, []byte(name), []byte("ada@example.com"), []byte("serial-4711"))
}

// told is a device that was told who its owner is.
func told(tx *accountdb.Tx, account cardea.AccountID) error {
	device := accountdb.Device{ID: cardea.DeviceID(strings.Repeat("d", 43)), PublicKey: []byte("{}"), Kind: "speaker", Serial: "serial-4711"}
	link := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: account, Device: device.ID, Grant: "g"}
	body, err := wire.EncodeBody(cardea.Body{
		Identity:    cardea.Identity{Subject: "s", Name: name},
		Preferences: []cardea.Preference{{Key: "greeting", Value: `"` + name + `"`}},
	})
	return errors.Join(err, tx.PutDevice(device), tx.CreateLink(link, [32]byte{}, name+"'s speaker"),
		tx.PutStatement(link.ID, accountdb.Statement{Revision: 1, Body: body, BodyHash: wire.BodyHash(body)}))
}

func erase(t *testing.T, db *accountdb.DB, account cardea.AccountID) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		return tx.Erase(account, cardea.Hash{9}, tx.Millis(), cardea.ChannelPortal)
	})
	if err == nil {
		err = db.Scrub(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func scan(t *testing.T, path string, parts [][]byte) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range parts {
			if bytes.Contains(text, part) {
				t.Errorf("%s still has the personal value %d", filepath.Base(file), i)
			}
		}
	}
}

// After an erasure not even the sealed bytes are in the files, so that the master
// key opens nothing any more.
func TestErasedBytesAreGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	db := openFile(t, path, accountdb.NewKey())
	account, personal := lived(t, db, path)
	erase(t, db, account)
	scan(t, path, personal)
	if _, err := db.Session(t.Context(), cardea.Hash{1}); err == nil {
		t.Error("somebody is signed in")
	}
	if _, err := db.Register(t.Context(), "ada@example.com", "hash"); err != nil {
		t.Errorf("the address makes no new account: %v", err)
	}
}

// A backup from before the erasure does not bring the account back.
func TestErasureOutlivesABackup(t *testing.T) {
	path, master := filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey()
	db := openFile(t, path, master)
	account, personal := lived(t, db, path)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := accountdb.Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	erase(t, db, account)
	db.Close()
	if _, err := accountdb.Restore(t.Context(), path, backup, master); err != nil {
		t.Fatal(err)
	}
	os.Remove(path + ".old")
	db = openFile(t, path, master)
	accountdbtest.Check(t, db)
	err := db.View(t.Context(), func(tx *accountdb.Tx) error {
		a, err := tx.Account(account)
		if err == nil && (!a.Erased || !a.Disabled) {
			t.Errorf("it is back: %+v", a)
		}
		if err == nil {
			_, err = tx.ErasureByProof(cardea.Hash{9})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	scan(t, path, personal)
}
