// Command idle says what an agent costs a device that does nothing.
//
//	idle [-bin bin/idle] [-for 60s] [-bundle /etc/ssl/certs/ca-certificates.crt] [-bench]
//
// The programs are the real ones, the agent stripped as a device gets it. The
// device is linked over TLS, knows one authority, and is connected to its broker.
// A program holds its page of answers, which the agent keeps alive. What must not
// outlive the boot lies in memory, as it does on a device.
//
// It waits until the agent has given back what its start took and looks for the
// time given: at a device that is left alone, which the goals are for, and then,
// for comparison, at one where a purpose is allowed that may be 30 seconds old at
// most, so that the cloud is heard all the time. It ends with 1 if a goal was
// missed. With -bench it prints lines like those of go test, for internal/figures,
// which has the goals as well. With -bundle the device knows no authority of its own but those of that
// file, as a system's: to see what they take.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/command"
)

func main() { command.Main("idle", run) }

// rest is how long an agent may take to give back what it used: longer than the
// minute it waits itself.
const rest = 75 * time.Second

// errMissed: a goal was.
var errMissed = errors.New("a goal was missed")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("idle", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin/idle", "the `folder` of cardea-cloud and the stripped cardea-agent")
	length := flags.Duration("for", time.Minute, "how long to look")
	settle := flags.Duration("rest", rest, "how long to wait before")
	bench := flags.Bool("bench", false, "print what internal/figures reads")
	bundle := flags.String("bundle", "", "trust the authorities of a `file`, as a system's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	d, err := open(ctx, *bin, *bundle)
	if d != nil {
		defer d.close()
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "linked over TLS, connected, one page held; waiting %s, then looking for %s\n", *settle, *length)
	alone, err := d.watch(ctx, *settle, *length)
	if err != nil {
		return err
	}
	if err := d.allow(ctx, presence); err != nil {
		return err
	}
	busy, err := d.watch(ctx, 2*time.Second, *length)
	if err != nil {
		return err
	}
	if *bench {
		fmt.Fprintln(stdout, "pkg: github.com/cardea-id/cardea/internal/idle")
		benchmark(stdout, "LeftAlone", alone)
		benchmark(stdout, "HearsTheCloud", busy)
		return nil
	}
	return tell(stdout, alone, busy)
}

// benchmark prints the figures as go test does those of a benchmark.
func benchmark(w io.Writer, name string, of []figure) {
	fmt.Fprintf(w, "Benchmark%s\t1", name)
	for _, f := range of {
		if f.short != "" {
			fmt.Fprintf(w, "\t%g %s", f.value, f.short)
		}
	}
	fmt.Fprintln(w)
}

// watch waits and then looks.
func (d *device) watch(ctx context.Context, settle, length time.Duration) ([]figure, error) {
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	before, err := look(d.agent.Process.Pid())
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, length); err != nil {
		return nil, err
	}
	after, err := look(d.agent.Process.Pid())
	if err != nil {
		return nil, err
	}
	return figures(before, after, length), d.works(ctx)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// load is what the machine was busy with meanwhile.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil || len(text) < 4 {
		return "unknown"
	}
	return string(text[:4])
}

// tell prints the figures beside their goals, and a line that sums them up.
func tell(w io.Writer, alone, busy []figure) error {
	missed := 0
	summary := []string{"idle:"}
	fmt.Fprintf(w, "  %-30s %10s %16s %8s %16s\n", "", "left alone", "goal", "", "hears the cloud")
	for i, f := range alone {
		word := ""
		if f.goal > 0 || f.must {
			word = "met"
			if f.value > f.goal {
				word, missed = "missed", missed+1
			}
		}
		fmt.Fprintf(w, "  %-30s %10s %16s %8s %16s\n", f.what, f.text(f.value), f.goalText(), word, busy[i].text(busy[i].value))
		if f.short != "" {
			summary = append(summary, f.short+"="+f.text(f.value))
		}
	}
	fmt.Fprintf(w, "%s missed=%d load=%s\n", strings.Join(summary, " "), missed, load())
	if missed > 0 {
		return errMissed
	}
	return nil
}
