// Command sectors damages what a device keeps, one place at a time, right after
// it has said "stopped", and looks what becomes of it.
//
//	sectors [-bin bin] [-every 1] [-seed 1]
//
// The device is killed after its user has stopped a purpose offline, and its
// files are kept. For every case they are put back, each 512-byte sector of the
// database, the deny journal or a slot is zeroed or has a bit flipped, or a file
// is cut off or emptied, and the agent is started: the purpose must be denied
// without network, and with it. The cloud is put back as well, to where it had
// not heard of the stop. A case is recovered when the device is in step again
// without a new pairing and allows what was not stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/torture/house"
)

const sector = 512

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "sectors:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("sectors", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "the `folder` of cardea-cloud and cardea-agent")
	every := flags.Int("every", 1, "play only every `n`-th case")
	seed := flags.Uint64("seed", 1, "of the bits that are flipped")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := house.New(ctx, *bin)
	if h != nil {
		defer os.RemoveAll(h.Dir)
		defer h.Close()
	}
	if err != nil {
		return err
	}
	p := &press{House: h, out: stdout}
	if err := p.stop(ctx); err != nil {
		return err
	}
	all, err := cases(p.state(), rand.New(rand.NewPCG(*seed, 1)))
	if err != nil {
		return err
	}
	for i := 0; i < len(all); i += max(*every, 1) {
		if err := p.play(ctx, all[i]); err != nil {
			return fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	fmt.Fprintln(stdout, p.tally)
	return p.err()
}

// A fault is what is done to one file.
type fault struct {
	name, file string
	do         func(text []byte) []byte
}

// cases are all faults of the files in a folder.
func cases(dir string, r *rand.Rand) (all []fault, err error) {
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
		file, size := filepath.Base(path), int(info.Size())
		for at := 0; at+sector <= size; at += sector {
			bit := r.IntN(8 * sector)
			all = append(all,
				fault{fmt.Sprintf("%s: sector %d zeroed", file, at/sector), file, func(b []byte) []byte { clear(b[at : at+sector]); return b }},
				fault{fmt.Sprintf("%s: bit %d of sector %d flipped", file, bit, at/sector), file, func(b []byte) []byte { b[at+bit/8] ^= 1 << (bit % 8); return b }})
		}
		for _, left := range []int{0, 1, sector, size / 2, size - sector} {
			all = append(all, fault{fmt.Sprintf("%s: cut off at %d", file, left), file, func(b []byte) []byte { return b[:left] }})
		}
	}
	return all, nil
}

// A tally is what came of the cases.
type tally struct{ cases, wrong, panics, recovered int }

func (t tally) String() string {
	recovered := fmt.Sprint(t.recovered)
	if t.recovered == t.cases {
		recovered = "all"
	}
	return fmt.Sprintf("cases=%d wrong-answers=%d panics=%d recovered=%s", t.cases, t.wrong, t.panics, recovered)
}

// err is what makes the run a failure.
func (t tally) err() error {
	if t.cases == 0 || t.wrong+t.panics > 0 || t.recovered < t.cases {
		return errors.New("a damaged disk was not survived")
	}
	return nil
}

type press struct {
	*house.House
	tally
	out io.Writer
}

func (p *press) state() string { return filepath.Join(p.Agent.Dir, "state") }
func (p *press) kept() string  { return filepath.Join(p.Dir, "kept") }

// stop has the purpose stopped without network, and keeps both sides' files.
func (p *press) stop(ctx context.Context) error {
	if err := house.Until(ctx, func() error { return p.InStep(ctx) }); err != nil {
		return err
	}
	p.Cloud.Kill()
	if err := p.Withdraw(ctx); err != nil {
		return err
	}
	p.Agent.Process.Kill()
	return errors.Join(
		house.Copy(filepath.Join(p.Dir, "cloud"), filepath.Join(p.kept(), "cloud")),
		house.Copy(p.state(), filepath.Join(p.kept(), "agent", "state")),
		house.Copy(filepath.Join(p.Agent.Dir, "run"), filepath.Join(p.kept(), "agent", "run")))
}

// play puts everything back, hurts a file, and watches.
func (p *press) play(ctx context.Context, f fault) error {
	err := errors.Join(
		house.Copy(filepath.Join(p.kept(), "cloud"), filepath.Join(p.Dir, "cloud")),
		house.Copy(filepath.Join(p.kept(), "agent", "state"), p.state()),
		house.Copy(filepath.Join(p.kept(), "agent", "run"), filepath.Join(p.Agent.Dir, "run")),
		os.Truncate(filepath.Join(p.Agent.Dir, "agent.log"), 0))
	if err != nil {
		return err
	}
	path := filepath.Join(p.state(), f.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, f.do(text), 0o600); err != nil {
		return err
	}
	p.cases++
	wrong, recovered := p.watch(ctx)
	if wrong {
		p.wrong++
		fmt.Fprintln(p.out, "wrong answer:", f.name)
	}
	if recovered != nil {
		fmt.Fprintf(p.out, "not recovered: %s: %v\n", f.name, recovered)
	} else {
		p.recovered++
	}
	if p.Panicked() {
		p.panics++
		fmt.Fprintln(p.out, "panic:", f.name)
	}
	p.Agent.Process.Kill()
	p.Cloud.Kill()
	return nil
}

// watch starts the agent, then the cloud. Both answers count at every look.
func (p *press) watch(ctx context.Context) (wrong bool, recovered error) {
	if err := p.Agent.Start(ctx); err != nil {
		return false, err
	}
	look := func() {
		a, err := p.Agent.Decide(ctx, house.Withdrawn, cardea.UseCollect)
		wrong = wrong || err == nil && a.Allowed()
	}
	look()
	if err := p.StartCloud(ctx); err != nil {
		return wrong, err
	}
	recovered = house.Until(ctx, func() error {
		look()
		if err := p.InStep(ctx); err != nil {
			return err
		}
		return p.Answers(ctx, house.Kept, cardea.Allow)
	})
	look()
	return wrong, recovered
}
