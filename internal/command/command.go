// Package command is the start and the end of a program. It promises a context
// that ends on SIGINT and SIGTERM; and that an error is one line on stderr and ends
// the process with 1, or with 2 if the command line was wrong, where a question
// for help is no error.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

// ErrUsage: the command line is wrong.
var ErrUsage = errors.New("see -help")

// A Run is a program without the process around it. It returns when ctx ends.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main runs a program with what its process was given, and ends the process.
func Main(name string, run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code(name, err, os.Stderr))
}

// Flags reads the flags of a program, and -version, which each has. They are told
// to who asks for help, and to nobody else; after both the program ends.
func Flags(flags *flag.FlagSet, args []string, help io.Writer) error {
	version := flags.Bool("version", false, "only say which version this is")
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case err == nil && *version:
		fmt.Fprintln(help, flags.Name(), Version())
		return flag.ErrHelp
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(help)
		flags.Usage()
	case err != nil:
		err = fmt.Errorf("%w: %w", err, ErrUsage)
	}
	return err
}

// Version is which source and which Go a program was built of.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of an unknown version"
	}
	return info.Main.Version + " " + info.GoVersion
}

// code says an error and is what a process ends with after it.
func code(name string, err error, stderr io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %s\n", name, oneLine(err))
	if errors.Is(err, ErrUsage) {
		return 2
	}
	return 1
}

// oneLine is an error's text in one line: several errors that were joined, and
// some of libraries', have more.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.ReplaceAll(err.Error(), "\t", ""), "\n", "; ")
}
