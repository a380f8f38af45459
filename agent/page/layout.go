package page

import (
	"sync/atomic"
	"unsafe"

	"github.com/cardea-id/cardea"
)

// Size is what a page takes, in bytes.
const Size = 4096

// OwnerOffset is where the kernel notes the agent's death, in bytes.
const OwnerOffset = 4 * wordOwner

// The layout, in 32-bit words of the machine's own byte order, each written at
// once: every machine can do that, while some can not write 64 bits so. It is
// shared with agent/client/c; change both, and magic.
//
//	 0  magic
//	 1  sequence of the image in force, which is image sequence & 1
//	 2  heartbeat: seconds of CLOCK_BOOTTIME
//	 3  seed of the hash, low and high
//	 5  owner: the agent's thread, without which the page is dead
//	16  image 0, then image 1
//
// An image:
//
//	0  generation, low and high
//	2  flags
//	3  how many entries
//	4  what bars everything: the number of a reason, 0 for nothing
//	8  entries
//
// An entry:
//
//	0  hash of the key, low and high
//	2  until when an allow counts: seconds of CLOCK_BOOTTIME
//	3  answers: for each use a verdict of 2 bits from bit 0 and a reason of 5
//	   bits from bit 8; bit 31: ask the socket
const (
	wordMagic    = 0
	wordSequence = 1
	wordBeat     = 2
	wordSeed     = 3
	wordOwner    = 5
	wordImages   = 16

	imageWords      = (Size/4 - wordImages) / 2
	imageGeneration = 0
	imageFlags      = 2
	imageCount      = 3
	imageBar        = 4
	imageEntries    = 8

	entryWords   = 4
	entryHash    = 0
	entryUntil   = 2
	entryAnswers = 3

	// Capacity is how many keys fit. A program that may ask about more asks the
	// socket about those.
	Capacity = (imageWords - imageEntries) / entryWords

	magic = 0x31445243 // "CRD1" where the low byte comes first

	ownerThread = 0x3fffffff // FUTEX_TID_MASK: 0 when the thread is gone

	flagSynced   = 1 << 0 // the time is known
	flagLinked   = 1 << 1 // somebody uses the device
	flagOverflow = 1 << 2 // keys are missing: ask the socket about those

	answerReasons = 8
	answerAsk     = 1 << 31

	// askAll is a yes to everything that is not to be believed.
	askAll = answerAsk | 1 | 1<<2 | 1<<4
)

// uses in the order of their bits.
var uses = [3]cardea.Use{cardea.UseCollect, cardea.UseLocal, cardea.UseEgress}

// verdicts in the order of their numbers.
var verdicts = [4]cardea.Verdict{cardea.Deny, cardea.Allow, cardea.AllowLocal, cardea.Hold}

// words is a page as it lies in memory that others read.
type words *[Size / 4]uint32

func wordsOf(memory []byte) words { return words(unsafe.Pointer(unsafe.SliceData(memory))) }

// store publishes a word: what was stored before is seen before (every atomic
// store of Go is sequentially consistent).
func store(w words, i int, v uint32) { atomic.StoreUint32(&w[i], v) }

func store64(w words, i int, v uint64) {
	store(w, i, uint32(v))
	store(w, i+1, uint32(v>>32))
}

// hash is FNV-1a of 64 bits from a seed. It finds entries; nothing rests on it
// being hard to turn around.
func hash(seed uint64, key cardea.Key) uint64 {
	h := seed ^ 14695981039346656037
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}
