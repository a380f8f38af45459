// Package command is the start and the end of a program. It promises a context
// that ends on SIGINT and SIGTERM; and that an error is one line on stderr and ends
// the process with 1, where a question for help is no error.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// A Run is a program without the process around it. It returns when ctx ends.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main runs a program with what its process was given, and ends the process.
func Main(name string, run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code(name, err, os.Stderr))
}

// code says an error and is what a process ends with after it.
func code(name string, err error, stderr io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return 1
}
