// Package devicedb is what a device keeps: its links with everything the cloud
// stated about them, its own log, what was collected for them and has not left
// (see [DB.Enqueue]), tokens, a pairing that waits, and the last words of links
// that ended. It is the only importer of bbolt.
//
// Beside the file lie those of package slots, because bbolt needs room, writes
// much, and can lose its newest transaction with one sector and not notice. The
// deny journal takes every denial made here ([DB.Deny]) in one synchronous write
// that a full disk does not stop; the file follows ([DB.Follow]), and whoever
// reads sees both as one. The journal also has the generation of every link,
// which each change raises: a file whose value is of an older one was put back
// or has lost something, so the link answers [cardea.ReasonStore] and opens a
// new log, until the cloud has answered. A journal that is damaged, gone or older
// than the file may have held a denial that nobody else knows: all links have a
// [Link.Loss] then, which their owner must confirm. A slot for each link has its
// tokens, with which [DB.Lost] links are fetched again.
//
// The state of a link is one value, so it is whole or absent and never of two
// ages. Every value is sealed with AES-256-GCM under the key given to [Open]
// and bound to its place, so that one moved elsewhere does not open; what can
// be read in the file is random identifiers and sizes. bbolt checks its pages
// little: a value that does not open is damage, which takes down its own link
// only (see [DB.Links]).
//
// An exported method is one transaction. Methods that write return after the
// change is on the disk. A DB may be used by several goroutines.
package devicedb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/slots"
)

// Faults of opening and of single values. Each message says what to do.
var (
	// ErrLocked: another process holds the file.
	ErrLocked = errors.New("the device database is in use: stop the other agent, or ask the one that runs")
	// ErrNewer: a newer agent wrote the file. It is left as it is.
	ErrNewer = errors.New("the device database was written by a newer agent: install that version again")
	// ErrDamaged: the file or a value in it can not be read.
	ErrDamaged = errors.New("the device database is damaged: what the cloud knows is fetched again")
	// ErrRolledBack: the state of a link is older than what the journal has seen
	// of it.
	ErrRolledBack = errors.New("the device database was put back to an earlier state, or has lost something: this device was rolled back or cloned")
	// ErrSeal: the file was sealed under another device key.
	ErrSeal = errors.New("the device database belongs to another device key: put the key file back, or move the database away and pair again")
	// ErrUnmappable: the file system can not map files, as JFFS2 and some overlays.
	ErrUnmappable = errors.New("the file system of the device database can not map files: choose a folder on ext4, f2fs, ubifs or tmpfs")
	// ErrNotFound: no such link.
	ErrNotFound = errors.New("no such link")
)

// schema is the version of the file's layout. A reader refuses a higher one.
const schema = 1

// absurd is a version that no agent will ever write: it is damage.
const absurd = 1 << 10

const journalSuffix = ".journal"

// baseOf is what the names of the files beside a database begin with.
func baseOf(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) }

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = 2 * time.Second

var (
	metaBucket     = []byte("meta")
	linkBucket     = []byte("links")
	tokenBucket    = []byte("tokens")
	farewellBucket = []byte("farewells")
	stateBucket    = []byte("state")

	schemaKey  = []byte("schema")
	checkKey   = []byte("check")
	activeKey  = []byte("active")
	pairingKey = []byte("pairing")
)

// A DB is an open device database.
type DB struct {
	path string

	swap sync.RWMutex // over bolt, which Scrub replaces
	bolt *bbolt.DB

	seal    sealer
	key     [32]byte
	base    string // of the names of the files beside
	journal *slots.Journal
	closed  atomic.Bool
	lost    []Lost
	found   []Finding

	write sync.Mutex // held over each change and what follows from it

	mu     sync.RWMutex
	states map[cardea.LinkID]*state
}

// Open opens or makes the database at path, readable by its owner only. seal is
// kept by the device's key store and never stands in the file.
func Open(path string, seal [32]byte) (*DB, error) {
	bolt, err := openBolt(path)
	if err != nil {
		return nil, fmt.Errorf("open device database: %w", err)
	}
	db := &DB{
		path: path, bolt: bolt, seal: newSealer(seal), key: seal, base: baseOf(path),
		states: map[cardea.LinkID]*state{},
	}
	err = db.prepare()
	if err == nil {
		// The file is locked and sealed with this key, so the journal is ours.
		db.journal, err = slots.OpenJournal(db.base+journalSuffix, seal)
	}
	if err == nil {
		if err = db.compare(); err != nil {
			db.journal.Close()
		}
	}
	if err != nil {
		bolt.Close()
		return nil, fmt.Errorf("open device database: %w", err)
	}
	if db.scrubDue() {
		db.Scrub() // what fails is tried at the next start
	}
	return db, nil
}

// openBolt keeps the free list in the file: without it a damaged page panics in
// a goroutine of bbolt, where nothing can recover it.
func openBolt(path string) (bolt *bbolt.DB, err error) {
	defer recoverDamage(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	bolt, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bbolt.FreelistMapType,
	})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENODEV):
		return nil, fmt.Errorf("%w: %w", ErrUnmappable, err)
	case err != nil:
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		bolt.Close()
		return nil, err
	}
	return bolt, nil
}

// prepare makes the layout of a new file, and refuses what a newer agent or
// another key wrote before it changes anything.
func (db *DB) prepare() error {
	fresh := false
	err := db.view(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			fresh = true
			return nil
		}
		return db.admit(meta)
	})
	if err != nil || !fresh {
		return err
	}
	return db.update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, linkBucket, tokenBucket, farewellBucket, stateBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		if err := meta.Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema)); err != nil {
			return err
		}
		return meta.Put(checkKey, db.seal.seal(metaBucket, checkKey, []byte("cardea")))
	})
}

func (db *DB) admit(meta *bbolt.Bucket) error {
	version := meta.Get(schemaKey)
	switch {
	case len(version) != 4 || binary.BigEndian.Uint32(version) > absurd:
		return fmt.Errorf("%w: no schema version", ErrDamaged)
	case binary.BigEndian.Uint32(version) > schema:
		return ErrNewer
	}
	if _, err := db.seal.open(metaBucket, checkKey, meta.Get(checkKey)); err != nil {
		return ErrSeal
	}
	return nil
}

// Close waits for running transactions and lets go of the file.
func (db *DB) Close() error {
	db.closed.Store(true)
	db.swap.Lock()
	defer db.swap.Unlock()
	return errors.Join(db.bolt.Close(), db.journal.Close())
}

// Closed reports whether Close was called.
func (db *DB) Closed() bool { return db.closed.Load() }

// Check walks the whole file and reports the first inconsistency.
func (db *DB) Check() error {
	return db.view(func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		return first
	})
}

func (db *DB) view(f func(tx *bbolt.Tx) error) (err error) {
	defer recoverDamage(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db.swap.RLock()
	defer db.swap.RUnlock()
	return db.bolt.View(f)
}

func (db *DB) update(f func(tx *bbolt.Tx) error) (err error) {
	defer recoverDamage(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db.swap.RLock()
	defer db.swap.RUnlock()
	return db.bolt.Update(f)
}

// recoverDamage turns bbolt's panic on a page of nonsense into an error, and the
// fault of reading what was mapped and is not there, as in a file cut off. The
// transaction was rolled back by bbolt on the way.
func recoverDamage(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, p)
	}
}
