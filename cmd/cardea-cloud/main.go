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
// described at cloud.Config. What the tasks are for stands at [tasks].
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
	path := flags.String("config", "/etc/cardea/cloud.toml", "the configuration `file`")
	debug := flags.Bool("debug", false, "log more")
	check := flags.Bool("check", false, "only say whether the configuration can be used")
	flags.Usage = func() { help(flags) }
	if err := command.Flags(flags, args, stderr); err != nil {
		return err
	}
	todo, err := choose(flags.Args())
	if err != nil {
		return err
	}
	var c cloud.Config
	if err := config.Load(*path, &c); err != nil {
		return err
	}
	if *check {
		if err := c.Check(); err != nil {
			return err
		}
		fmt.Fprintln(stdout, *path, "can be used")
		return nil
	}
	level := slog.LevelInfo
	if *debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if todo != nil {
		return todo.do(ctx, c, flags.Arg(1), stdout, log)
	}
	return cloud.Run(ctx, c, log)
}
