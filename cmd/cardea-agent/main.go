// Command cardea-agent runs the agent of a device.
//
//	cardea-agent [-config /etc/cardea/agent.toml] [-issuer URL] [-ca FILE] [-debug] [-check]
//
// The configuration's fields are described at agent.Config; a flag goes before
// the file, and without the file there is nothing but flags. It ends cleanly on
// SIGINT and SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/cardea-id/cardea/agent"
	"github.com/cardea-id/cardea/agent/memory"
	"github.com/cardea-id/cardea/internal/command"
	"github.com/cardea-id/cardea/internal/config"
)

const defaultConfig = "/etc/cardea/agent.toml"

func main() {
	if code, ok := agent.Probed(); ok {
		os.Exit(code)
	}
	memory.Frugal()
	command.Main("cardea-agent", run)
}

// run is main without the process around it. It returns when ctx ends, or with
// the reason why the agent can not run.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c agent.Config
	flags := flag.NewFlagSet("cardea-agent", flag.ContinueOnError)
	path := flags.String("config", defaultConfig, "the configuration `file`")
	debug := flags.Bool("debug", false, "log more")
	check := flags.Bool("check", false, "only say whether the configuration can be read")
	override := fields(flags, &c)
	if err := command.Flags(flags, args, stderr); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: %w", flags.Arg(0), command.ErrUsage)
	}
	// Only the default file may be missing.
	if err := config.Load(*path, &c); err != nil && !(*path == defaultConfig && errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	override()
	if *debug {
		c.LogLevel = slog.LevelDebug
	}
	if self, err := os.Executable(); err == nil {
		c.Prober = self
	}
	if *check {
		if err := c.Check(); err != nil {
			return err
		}
		fmt.Fprintln(stdout, "the configuration can be used")
		return nil
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	c.Rest = func() {
		if err := memory.GiveBack(); err != nil {
			log.Info("the program stays in memory", "err", err)
		}
	}
	return agent.Run(ctx, c, log)
}

// fields declares a flag for each field that is set so, and returns what puts
// them over the file's.
func fields(flags *flag.FlagSet, c *agent.Config) (override func()) {
	var set agent.Config
	all := []struct {
		name, usage string
		from, to    *string
	}{
		{"issuer", "the cloud's `URL`", &set.Issuer, &c.Issuer},
		{"ca", "a PEM `file` with the authorities that may vouch for the cloud, instead of the system's", &set.CAFile, &c.CAFile},
		{"state", "the `folder` of key and database", &set.StateDir, &c.StateDir},
		{"run", "the `folder` that does not outlive the boot", &set.RunDir, &c.RunDir},
		{"socket", "the `path` where programs reach the agent", &set.Socket, &c.Socket},
		{"group", "the `group` whose programs may connect", &set.SocketGroup, &c.SocketGroup},
		{"apps", "the `folder` with a file for each program", &set.AppsDir, &c.AppsDir},
	}
	for _, f := range all {
		flags.StringVar(f.from, f.name, "", f.usage)
	}
	return func() {
		for _, f := range all {
			if *f.from != "" {
				*f.to = *f.from
			}
		}
	}
}
