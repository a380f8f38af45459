// Command cardea-cloud runs the cloud: the owner's pages, pairing, the ledger,
// and the pipe to the devices, in one process.
//
//	cardea-cloud [-config /etc/cardea/cloud.toml] [-debug] [-check]
//	cardea-cloud [-config ...] backup FILE
//	cardea-cloud [-config ...] restore FILE
//	cardea-cloud [-config ...] rotate statement|token
//	cardea-cloud [-config ...] era begin
//	cardea-cloud [-config ...] broker config
//	cardea-cloud [-config ...] clock show|2026-11-21
//
// It ends cleanly on SIGINT and SIGTERM. The configuration's fields are
// described at cloud.Config. backup copies the database to a new file, also
// while the cloud runs; restore puts such a copy in its place, only while it
// does not. See docs/backup.md, also for era, which is what restore is for a
// database on a server. broker prints the configuration of NATS servers that
// several clouds share; see docs/cluster.md. rotate makes a new key of its kind, whether the
// cloud runs or not; see docs/keys.md. clock is for one that signs nothing because
// its clock was ahead; see docs/clock.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/command"
	"github.com/cardea-id/cardea/internal/config"
)

func main() { command.Main("cardea-cloud", run) }

// run is main without the process around it. It returns when ctx ends, or with
// the reason why the cloud can not run.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cardea-cloud", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "/etc/cardea/cloud.toml", "the configuration `file`")
	debug := flags.Bool("debug", false, "log more")
	check := flags.Bool("check", false, "only say whether the configuration can be read")
	if err := flags.Parse(args); err != nil {
		return err
	}
	task, known := tasks[flags.Arg(0)]
	switch {
	case flags.NArg() > 0 && !known:
		return fmt.Errorf("unexpected argument %q: everything is set in the configuration file", flags.Arg(0))
	case known && flags.NArg() != 2:
		return fmt.Errorf("%s: name one %s", flags.Arg(0), wants[flags.Arg(0)])
	}
	var c cloud.Config
	if err := config.Load(*path, &c); err != nil {
		return err
	}
	if *check {
		fmt.Fprintln(stdout, *path, "can be read")
		return nil
	}
	level := slog.LevelInfo
	if *debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if known {
		return task(ctx, c, flags.Arg(1), stdout, log)
	}
	return cloud.Run(ctx, c, log)
}

// tasks are what is done instead of running the cloud.
var tasks = map[string]task{
	"backup": silent(cloud.Backup), "restore": silent(cloud.Restore), "rotate": silent(cloud.Rotate), "era": silent(cloud.Era),
	"clock": cloud.Clock, "broker": cloud.BrokerConfig,
}

var wants = map[string]string{"backup": "file", "restore": "file", "rotate": "key, statement or token", "era": "step: begin", "broker": "thing: config", "clock": "day, or say show"}

type task func(ctx context.Context, c cloud.Config, what string, out io.Writer, log *slog.Logger) error

// silent is a task that has nothing to say but what it logs.
func silent(do func(context.Context, cloud.Config, string, *slog.Logger) error) task {
	return func(ctx context.Context, c cloud.Config, what string, _ io.Writer, log *slog.Logger) error {
		return do(ctx, c, what, log)
	}
}
