package main

import (
	"os"
	"testing"
	"unsafe"

	"github.com/cardea-id/cardea/agent/page"
)

// word is a word of a page, as agent/page lays it out.
func word(memory []byte, i int) *uint32 { return (*uint32)(unsafe.Pointer(&memory[4*i])) }

// sampled is a page of the writer's first state, of an agent that is dead.
func sampled(t *testing.T) []byte {
	t.Helper()
	memory, err := written(states()[0])
	if err != nil {
		t.Fatal(err)
	}
	*word(memory, page.OwnerOffset/4) = 0
	return memory
}

// A judge that finds nothing wrong with any page would prove nothing.
func TestJudge(t *testing.T) {
	const beat, image, entries = 2, 16, 8
	now := uint32(boot().Seconds())
	for name, c := range map[string]struct {
		spoil func(memory []byte)
		want  tally
	}{
		"as the agent left it": {func([]byte) {}, tally{kills: 1}},
		"alive":                {func(m []byte) { *word(m, page.OwnerOffset/4) = 7 }, tally{kills: 1, alive: 1}},
		"both given": {func(m []byte) {
			sequence := *word(m, 1)
			at := image + int(sequence&1)*504 + entries
			*word(m, at+4+3) = *word(m, at+3)
		}, tally{kills: 1, torn: 1}},
	} {
		memory := sampled(t)
		// The sample was written at a time of its own.
		*word(memory, beat) = now
		for i := range 2 {
			at := image + i*504 + entries
			for e := range 2 {
				*word(memory, at+4*e+2) = now + 1000
			}
		}
		c.spoil(memory)
		var got tally
		got.judge(memory)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// The sample has every verdict and reason a page can give.
func TestSampleHasAllSorts(t *testing.T) {
	file, want, err := sample(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file)
	if err != nil || len(memory) != page.Size {
		t.Fatalf("%d bytes, %v", len(memory), err)
	}
	said := map[string]bool{}
	for _, q := range queries() {
		a := page.Read(memory, q, atSampleBoot())
		said[string(a.Verdict)], said[string(a.Reason)] = true, true
	}
	for _, word := range []string{"allow", "allow_local", "deny", "granted", "refused", "withdrawn", "forked", "unknown", "store"} {
		if !said[word] {
			t.Errorf("nothing is answered %q:\n%s", word, want)
		}
	}
}
