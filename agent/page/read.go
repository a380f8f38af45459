package page

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea"
)

// How long a yes outlives the last heartbeat, and how often an agent beats.
const (
	Alive = 10 * time.Second
	Pace  = 7 * time.Second
)

// tries bounds how often a reader that was overtaken begins again: it never
// waits for the writer.
const tries = 8

// An Answer is what a page says. Ask means that it says nothing: ask the socket.
type Answer struct {
	Verdict    cardea.Verdict
	Reason     cardea.Reason
	Generation uint64
	Ask        bool
}

var ask = Answer{Verdict: cardea.Deny, Reason: cardea.ReasonNoAgent, Ask: true}

// Read answers from a page's memory, as the readers in other languages do. boot
// is CLOCK_BOOTTIME.
func Read(memory []byte, q cardea.Query, boot time.Duration) Answer {
	if len(memory) < Size {
		return ask
	}
	w := wordsOf(memory)
	for range tries {
		sequence := load(w, wordSequence)
		a := read(w, wordImages+int(sequence&1)*imageWords, q, seconds(boot))
		if load(w, wordSequence) == sequence {
			return a
		}
	}
	return ask
}

func load(w words, i int) uint32 { return atomic.LoadUint32(&w[i]) }

func load64(w words, i int) uint64 { return uint64(load(w, i)) | uint64(load(w, i+1))<<32 }

func read(w words, at int, q cardea.Query, now uint32) Answer {
	beat := load(w, wordBeat)
	if load(w, wordMagic) != magic || load(w, wordOwner)&ownerThread == 0 || now < beat || now-beat >= uint32(Alive/time.Second) {
		return ask
	}
	generation := load64(w, at+imageGeneration)
	if bar := load(w, at+imageBar); bar != 0 {
		return Answer{Verdict: cardea.Deny, Reason: reasonOf(bar), Generation: generation}
	}
	use := slices.Index(uses[:], cmp.Or(q.Use, cardea.UseCollect))
	if use < 0 {
		return Answer{Verdict: cardea.Deny, Reason: cardea.ReasonUnknown, Generation: generation}
	}
	h := hash(load64(w, wordSeed), q.Key)
	for i := range min(int(load(w, at+imageCount)), Capacity) {
		e := at + imageEntries + i*entryWords
		if load64(w, e+entryHash) == h {
			a := readEntry(load(w, e+entryUntil), load(w, e+entryAnswers), use, now)
			a.Generation = generation
			return a
		}
	}
	if load(w, at+imageFlags)&flagOverflow != 0 {
		return ask
	}
	return Answer{Verdict: cardea.Deny, Reason: cardea.ReasonUnknown, Generation: generation}
}

func readEntry(until, answers uint32, use int, now uint32) Answer {
	a := Answer{Verdict: verdicts[answers>>(2*use)&3], Reason: reasonOf(answers >> (answerReasons + 5*use) & 31)}
	yes := a.Verdict == cardea.Allow || a.Verdict == cardea.AllowLocal
	if yes && (answers&answerAsk != 0 || now >= until) {
		return ask
	}
	return a
}

func reasonOf(n uint32) cardea.Reason {
	if n == 0 || int(n) > len(cardea.Reasons) {
		return cardea.ReasonUnknown
	}
	return cardea.Reasons[n-1]
}
