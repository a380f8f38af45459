package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/command"
)

// A task is done instead of running the cloud.
type task struct {
	name, takes string
	does        string // for people
	do          func(ctx context.Context, c cloud.Config, what string, out io.Writer, log *slog.Logger) error
}

// tasks are all there are. Where more is to be known about one, it says in which
// document.
var tasks = []task{
	{"backup", "FILE", "copies the database to a new file, while the cloud runs or not (docs/backup.md)", silent(cloud.Backup)},
	{"restore", "FILE", "puts such a copy in its place, while no cloud runs", silent(cloud.Restore)},
	{"rotate", "statement|token", "makes a new key of this kind, while the cloud runs or not (docs/keys.md)", silent(cloud.Rotate)},
	{"era", "begin", "after a database server was put back to an earlier state (docs/backup.md)", silent(cloud.Era)},
	{"broker", "config", "prints the configuration of NATS servers that clouds share (docs/cluster.md)", cloud.BrokerConfig},
	{"clock", "show|DAY", "when nothing is signed because the clock was ahead (docs/clock.md)", cloud.Clock},
}

// silent is a task that has nothing to say but what it logs.
func silent(do func(context.Context, cloud.Config, string, *slog.Logger) error) func(context.Context, cloud.Config, string, io.Writer, *slog.Logger) error {
	return func(ctx context.Context, c cloud.Config, what string, _ io.Writer, log *slog.Logger) error {
		return do(ctx, c, what, log)
	}
}

// choose is the task that is asked for; nil is to run the cloud.
func choose(args []string) (*task, error) {
	if len(args) == 0 {
		return nil, nil
	}
	i := slices.IndexFunc(tasks, func(t task) bool { return t.name == args[0] })
	switch {
	case i < 0:
		return nil, fmt.Errorf("unexpected argument %q, there is no such task: %w", args[0], command.ErrUsage)
	case len(args) != 2:
		return nil, fmt.Errorf("%s: name one %s: %w", args[0], tasks[i].takes, command.ErrUsage)
	}
	return &tasks[i], nil
}

// help tells what there is.
func help(flags *flag.FlagSet) {
	out := flags.Output()
	fmt.Fprint(out, "cardea-cloud runs the cloud until it is told to end, or does one task instead.\n\n  cardea-cloud [flags] [task]\n\nTasks:\n")
	for _, t := range tasks {
		fmt.Fprintf(out, "  %s %s\n    \t%s\n", t.name, t.takes, t.does)
	}
	fmt.Fprint(out, "\nFlags:\n")
	flags.PrintDefaults()
}
