package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// A report prints what was tried and counts what failed.
type report struct {
	out            io.Writer
	peers          int
	checks, failed int
}

// peer begins the part of one peer.
func (r *report) peer(name, version string) {
	r.peers++
	fmt.Fprintf(r.out, "\n%s %s\n", name, version)
}

// check prints one line. detail is what was seen; it may be empty.
func (r *report) check(what, detail string, err error) {
	r.checks++
	mark := "ok"
	if err != nil {
		r.failed++
		mark, detail = "FAIL", strings.TrimSpace(detail+" "+err.Error())
	}
	line := fmt.Sprintf("  %-5s %-58s %s", mark, what, oneLine(detail))
	fmt.Fprintln(r.out, strings.TrimRight(line, " "))
}

// oneLine keeps what a peer printed readable.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

// sum prints the last line, and is the error if anything failed.
func (r *report) sum() error {
	fmt.Fprintf(r.out, "\ninterop: %d peers, %d checks, %d failed\n", r.peers, r.checks, r.failed)
	switch {
	case r.failed > 0:
		return fmt.Errorf("%d of %d checks failed", r.failed, r.checks)
	case r.checks == 0:
		return errors.New("nothing was checked")
	}
	return nil
}
