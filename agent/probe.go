package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/cardea-id/cardea/store/devicedb"
)

const (
	// probeEnv names, in a child's environment, the database to read.
	probeEnv = "CARDEA_AGENT_PROBE"
	// probeTime is how long reading it may take; a page that leads back to
	// itself is read for ever.
	probeTime = 20 * time.Second

	probeSound   = 0
	probeDamaged = 3
	probeOther   = 4
)

// Probed does what a child process that reads a doubtful database is for, and
// returns its exit code; ok is false in any other process.
func Probed() (code int, ok bool) {
	path := os.Getenv(probeEnv)
	if path == "" {
		return 0, false
	}
	err := devicedb.Probe(path)
	switch {
	case err == nil:
		return probeSound, true
	case errors.Is(err, devicedb.ErrDamaged):
		fmt.Fprintln(os.Stderr, err)
		return probeDamaged, true
	}
	return probeOther, true // the open that follows says what it is
}

// probeIn reads a database in a child process. A child that is lost over it has
// told enough.
func probeIn(program, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	child := exec.CommandContext(ctx, program)
	child.Env = append(os.Environ(), probeEnv+"="+path)
	err := child.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil || !ended: // or there is no child to be had
		return nil
	case exit.ExitCode() == probeOther:
		return nil
	}
	return fmt.Errorf("%w: a process that read it ended with %s", devicedb.ErrDamaged, exit)
}
