package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cardea-id/cardea/internal/command"
)

// bound is how long everything may take.
const bound = 10 * time.Minute

func main() {
	if os.Args[0] == "/init" {
		fmt.Println("init:", guest())
		return // and the kernel panics, which ends the machine
	}
	command.Main("vm", run)
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("vm", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "the `folder` of cardea-cloud and cardea-agent")
	cuts := flags.Int("cuts", 3, "how `often` the power is cut while withdrawals are written")
	keep := flags.Bool("keep", false, "leave the scratch folder, with the consoles and the disk")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	k, err := findKernel("/")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cardea-vm-")
	if err != nil {
		return fmt.Errorf("scratch folder: %w", err)
	}
	if *keep {
		fmt.Fprintln(stdout, "  scratch folder", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	ctx, stop := context.WithTimeout(ctx, bound)
	defer stop()
	return play(ctx, k, *bin, dir, *cuts, stdout)
}
