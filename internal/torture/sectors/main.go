// Command sectors damages what a device keeps, one place at a time, right after
// it has said "stopped", and looks what becomes of it.
//
//	sectors [-bin bin] [-every 1] [-match regexp] [-seed 1] [-jobs n]
//
// A user stops a purpose offline. The device's files are kept as they are when
// "stopped" is said, with the denial in the journal alone, and as they are when the
// database has followed. For every case and both moments they are put back, each 512-byte sector of the
// database, the deny journal or a slot is zeroed or has a bit flipped, or a file
// is cut off, emptied, zeroed or deleted, some of them together, and the agent is
// started: the purpose must be denied without network, after another start, and
// with network. The cloud is put back as well, to where it had not heard of the
// stop.
//
// If the owner is asked what the device may do again, because the stop may be
// lost, they allow what they did not stop. Nobody else allows anything. A case is
// recovered when the device is in step again without a new pairing and allows
// what was not stopped.
//
// Cases are played by several processes at once, each in a network of its own, so
// that all of them have the same device at the same addresses. Where that is not
// permitted one process plays them all.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/cardea-id/cardea/internal/command"
	"github.com/cardea-id/cardea/internal/torture/house"
)

func main() { command.Main("sectors", run) }

// options are the flags.
type options struct {
	bin   string
	every int
	match string
	seed  uint64
	jobs  int

	// Of a process that plays a part of the cases.
	part        int
	kept, ports string
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("sectors", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.bin, "bin", "bin", "the `folder` of cardea-cloud and cardea-agent")
	flags.IntVar(&o.every, "every", 1, "play only every `n`-th case")
	flags.StringVar(&o.match, "match", "", "play only cases whose name this `regexp` matches")
	flags.Uint64Var(&o.seed, "seed", 1, "of the bits that are flipped")
	flags.IntVar(&o.jobs, "jobs", 3*runtime.NumCPU(), "how many cases are played at once")
	flags.IntVar(&o.part, "part", 0, "play this part of -jobs, of a device that was stopped already")
	flags.StringVar(&o.kept, "kept", "", "with -part: the `folder` of its files")
	flags.StringVar(&o.ports, "ports", "", "with -part: its ports")
	err = flags.Parse(args)
	o.every, o.jobs = max(o.every, 1), max(o.jobs, 1)
	return o, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.kept != "" {
		if err := loopback(); err != nil {
			return err
		}
		t, err := o.play(ctx, stdout)
		return errors.Join(err, t.send(stdout))
	}
	if o.kept, err = os.MkdirTemp("", "cardea-kept-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.kept)
	if o.ports, err = stopped(ctx, o); err != nil {
		return err
	}
	t, err := o.share(ctx, stdout)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, t)
	return t.err()
}

// stopped sets a house up, has the purpose stopped without network, and keeps the
// files of both sides.
func stopped(ctx context.Context, o options) (ports string, err error) {
	h, err := house.New(ctx, o.bin)
	if h != nil {
		defer os.RemoveAll(h.Dir)
		defer h.Close()
	}
	if err != nil {
		return "", err
	}
	if err := house.Until(ctx, func() error { return h.InStep(ctx) }); err != nil {
		return "", err
	}
	h.Cloud.Kill()
	database := filepath.Join(h.State(), "device.db")
	before, err := os.ReadFile(database)
	if err != nil {
		return "", err
	}
	if err := h.Withdraw(ctx); err != nil {
		return "", err
	}
	err = house.Until(ctx, func() error {
		now, err := os.ReadFile(database)
		if err == nil && bytes.Equal(now, before) {
			err = errors.New("the database does not follow the journal")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	h.Agent.Process.Kill()
	for _, m := range moments {
		if err := h.Keep(filepath.Join(o.kept, m)); err != nil {
			return "", err
		}
	}
	said := filepath.Join(o.kept, moments[0], "agent", "state", "device.db")
	return strings.Join(h.Ports[:], ","), os.WriteFile(said, before, 0o600)
}

// The moments at which the device is hurt, and the folders of their files.
var moments = []string{"said", "followed"}

// play plays one part of the cases.
func (o options) play(ctx context.Context, out io.Writer) (t tally, err error) {
	all, err := o.chosen()
	if err != nil {
		return t, err
	}
	ports := strings.Split(o.ports, ",")
	if len(ports) != 3 {
		return t, fmt.Errorf("-ports: want three, got %q", o.ports)
	}
	h, err := house.Again(ctx, o.bin, filepath.Join(o.kept, moments[0]), [3]string(ports))
	if h != nil {
		defer os.RemoveAll(h.Dir)
		defer h.Close()
	}
	if err != nil {
		return t, err
	}
	h.Cloud.Kill()
	h.Agent.Process.Kill()
	p := &press{House: h, out: out}
	for i := o.part; i < len(all); i += o.jobs {
		if err := p.play(ctx, all[i]); err != nil {
			return p.tally, fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	return p.tally, nil
}

// chosen are the cases that are to be played, of both moments.
func (o options) chosen() (chosen []fault, err error) {
	match, err := regexp.Compile(o.match)
	if err != nil {
		return nil, fmt.Errorf("-match: %w", err)
	}
	n := 0
	for _, m := range moments {
		all, err := cases(filepath.Join(o.kept, m), o.seed)
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			if !match.MatchString(f.name) {
				continue
			}
			if n%o.every == 0 {
				chosen = append(chosen, f)
			}
			n++
		}
	}
	return chosen, nil
}
