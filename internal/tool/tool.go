package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/agent/client"
	process "github.com/cardea-id/cardea/internal/command"
)

// Exit codes.
const (
	Done        = 0
	No          = 1   // refused, declined, expired, or something needs a person
	Usage       = 2   // the command line is wrong
	NoAgent     = 3   // the agent can not be reached, so its answer is no
	Interrupted = 130 // by Ctrl-C, as shells have it
)

// An IO is what the program is connected to.
type IO struct {
	In       *os.File
	Out, Err io.Writer
	Env      func(string) string
}

// A command is one line of the table.
type command struct {
	name  string
	args  string // as in "KEY [VALUE]"; in brackets what can be left out
	does  string // in half a line
	more  string // what help adds
	shows []string
	// setup declares the command's flags and returns what runs it.
	setup func(*flag.FlagSet) func(context.Context, *call) error
	// local: it does not speak to an agent, and has no --json and no --socket.
	local bool
}

// A call is one use of a command.
type call struct {
	IO
	args  []string
	json  bool
	path  string // of the socket
	agent *client.Client
	style style
}

// errQuiet ends with No after everything was said.
var errQuiet = errors.New("told already")

// A usageError is a command line that can not be meant.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Run does what the arguments say and returns the exit code.
func Run(ctx context.Context, args []string, to IO) int {
	err := run(ctx, args, to)
	wrong, isUsage := errors.AsType[usageError](err)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return Done
	case errors.Is(err, errQuiet):
		return No
	case ctx.Err() != nil:
		return Interrupted
	case isUsage:
		fmt.Fprintf(to.Err, "cardea: %s\n", wrong.text)
		return Usage
	}
	fmt.Fprintf(to.Err, "cardea: %v\n", err)
	if errors.Is(err, client.ErrNoAgent) {
		return NoAgent
	}
	return No
}

func run(ctx context.Context, args []string, to IO) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		return help(args, to)
	}
	if slices.Contains([]string{"version", "-version", "--version"}, args[0]) {
		fmt.Fprintln(to.Out, "cardea", process.Version())
		return nil
	}
	c, ok := find(args[0])
	if !ok {
		return usagef("there is no command %q%s: cardea help lists them", args[0], nearest(args[0]))
	}
	return c.run(ctx, args[1:], to)
}

func (c command) run(ctx context.Context, args []string, to IO) error {
	call := &call{IO: to, style: styleOf(to)}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	do := c.setup(flags)
	if !c.local {
		flags.BoolVar(&call.json, "json", false, "print what the agent answered")
		flags.StringVar(&call.path, "socket", "", "where the agent listens, a `path`")
	}
	var err error
	if call.args, err = parse(flags, args); errors.Is(err, flag.ErrHelp) {
		c.help(to)
		return nil
	}
	if err == nil {
		err = c.count(call.args)
	}
	if err != nil {
		return usagef("%v: cardea %s --help", err, c.name)
	}
	if c.local {
		return do(ctx, call)
	}
	call.path = socketPath(call.path, to.Env)
	call.agent = client.New(call.path)
	defer call.agent.Close()
	return explain(do(ctx, call), call.path)
}

// parse takes flags before, between and after the arguments.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		// Whatever stands behind "--" is no flag.
		if i := len(args) - flags.NArg(); i > 0 && args[i-1] == "--" || flags.NArg() == 0 {
			return append(rest, flags.Args()...), nil
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

// count checks that there are as many arguments as the command takes.
func (c command) count(args []string) error {
	want := strings.Fields(c.args)
	need := 0
	for _, w := range want {
		if !strings.HasPrefix(w, "[") {
			need++
		}
	}
	switch {
	case len(args) > len(want):
		return fmt.Errorf("%q is too much", args[len(want)])
	case len(args) < need:
		return fmt.Errorf("say the %s", want[len(args)])
	}
	return nil
}

func find(name string) (command, bool) {
	all := commands()
	if i := slices.IndexFunc(all, func(c command) bool { return c.name == name }); i >= 0 {
		return all[i], true
	}
	return command{}, false
}

// nearest asks whether another command was meant.
func nearest(name string) string {
	for _, c := range commands() {
		if len(name) > 1 && strings.HasPrefix(c.name, name) || distance(name, c.name) == 1 {
			return fmt.Sprintf(" (%s?)", c.name)
		}
	}
	return ""
}

// distance is how many letters were left out, added, changed or swapped, if
// that is one; otherwise it is more.
func distance(a, b string) int {
	front := 0
	for front < len(a) && front < len(b) && a[front] == b[front] {
		front++
	}
	a, b = a[front:], b[front:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0] {
		return 1
	}
	return max(len(a), len(b))
}
