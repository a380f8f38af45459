package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const sector = 512

// A fault is what is done to some of the files that were kept in a folder.
type fault struct {
	name string
	kept string
	hurt []injury
}

// An injury is what is done to one file. What becomes of its content is nil if
// the file is deleted.
type injury struct {
	file string
	do   func(text []byte) []byte
}

func (i injury) inflict(dir string) error {
	path := filepath.Join(dir, i.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if text = i.do(text); text == nil {
		return os.Remove(path)
	}
	return os.WriteFile(path, text, 0o600)
}

// The ways to lose a file.
func deleted([]byte) []byte            { return nil }
func zeroed(b []byte) []byte           { clear(b); return b }
func cut(left int) func([]byte) []byte { return func(b []byte) []byte { return b[:left] } }

// cases are all faults of the device that was kept in a folder.
func cases(kept string, seed uint64) (all []fault, err error) {
	dir := filepath.Join(kept, "agent", "state")
	r := rand.New(rand.NewPCG(seed, 1))
	var files []string
	for _, pattern := range []string{"device.db", "*.journal", "*.slot"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			return nil, fmt.Errorf("no %s in %s", pattern, dir)
		}
		files = append(files, names...)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		all = append(all, faultsOf(filepath.Base(path), int(info.Size()), r)...)
	}
	all = append(all, together(filepath.Base(files[0]), filepath.Base(files[1]))...)
	for i := range all {
		all[i].name, all[i].kept = filepath.Base(kept)+": "+all[i].name, kept
	}
	return all, nil
}

// faultsOf are those of one file.
func faultsOf(file string, size int, r *rand.Rand) (all []fault) {
	add := func(what string, do func([]byte) []byte) {
		all = append(all, fault{name: file + ": " + what, hurt: []injury{{file, do}}})
	}
	for at := 0; at+sector <= size; at += sector {
		bit := r.IntN(8 * sector)
		add(fmt.Sprintf("sector %d zeroed", at/sector), func(b []byte) []byte { clear(b[at : at+sector]); return b })
		add(fmt.Sprintf("bit %d of sector %d flipped", bit, at/sector), func(b []byte) []byte { b[at+bit/8] ^= 1 << (bit % 8); return b })
	}
	for _, left := range []int{0, 1, sector, size / 2, size - sector} {
		add(fmt.Sprintf("cut off at %d", left), cut(left))
	}
	add("zeroed", zeroed)
	add("deleted", deleted)
	return all
}

// together are the faults of both files at once.
func together(database, journal string) (all []fault) {
	add := func(how string, a, b func([]byte) []byte) {
		all = append(all, fault{name: database + " and " + journal + ": " + how, hurt: []injury{{database, a}, {journal, b}}})
	}
	add("both deleted", deleted, deleted)
	add("both emptied", cut(0), cut(0))
	add("both zeroed", zeroed, zeroed)
	add("both cut off at 8 KB", cut(1<<13), cut(1<<13))
	add("one deleted, the other emptied", deleted, cut(0))
	add("one emptied, the other deleted", cut(0), deleted)
	return all
}
