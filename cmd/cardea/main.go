// Command cardea is the tool of operators and tinkerers.
//
//	cardea demo [-owner script] [-fault deny] [-lan] [-kind speaker]
//
// demo starts a cloud and a device as real processes in a scratch folder, shows
// the device's code, and tells live what happens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"github.com/cardea-id/cardea/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cardea:", err)
		os.Exit(1)
	}
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) error {
	if len(args) == 0 || args[0] != "demo" {
		return errors.New("say what to do: cardea demo")
	}
	flags := flag.NewFlagSet("cardea demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := demo.Options{Keys: stdin, Out: stdout, Color: colors(stdout)}
	owner := flags.String("owner", "you", "who plays the owner: `you` or script")
	flags.StringVar(&o.Fault, "fault", "", "`deny`: the scripted owner declines")
	flags.StringVar(&o.Kind, "kind", "speaker", "the device: `speaker` or car")
	flags.StringVar(&o.Catalogue, "catalogue", "testdata/catalogue.yaml", "what the owner is asked, a YAML `file`")
	flags.StringVar(&o.Bin, "bin", "", "the `folder` of cardea-cloud and cardea-agent (default: this program's)")
	flags.BoolVar(&o.LAN, "lan", false, "let phones on this network reach the cloud, without TLS")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if err := check(&o, *owner, flags.Args()); err != nil {
		return err
	}
	if o.Script || !term.IsTerminal(int(stdin.Fd())) {
		return demo.Run(ctx, o)
	}
	before, err := term.MakeRaw(int(stdin.Fd())) // single keys
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer term.Restore(int(stdin.Fd()), before)
	o.Out = carriage{stdout}
	return demo.Run(ctx, o)
}

// colors reports whether colours can be written to out: see no-color.org.
func colors(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

func check(o *demo.Options, owner string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case owner != "you" && owner != "script":
		return fmt.Errorf("-owner is you or script, not %q", owner)
	case o.Fault != "" && (o.Fault != "deny" || owner != "script"):
		return errors.New("-fault knows only deny, and needs -owner script")
	case o.Kind != "speaker" && o.Kind != "car":
		return fmt.Errorf("-kind is speaker or car, not %q", o.Kind)
	}
	o.Script = owner == "script"
	if o.Bin != "" {
		return nil
	}
	self, err := os.Executable()
	o.Bin = filepath.Dir(self)
	return err
}
