// Command looks looks at every page of the owner in a real browser, as an owner
// with a house full of devices sees it.
//
//	looks axe     has axe-core judge each page, light and dark, in three widths
//	looks shots   takes a picture of each page in each language, light and dark,
//	              in two widths, and checks that every character has a glyph
//
// The cloud is the real program, and so are the agents. Pages are found by
// following every link there is, beside those that only a step of the owner leads
// to; a template that was never seen is an error, so that a new page can not be
// forgotten.
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

	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "looks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("looks", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	bin := flags.String("bin", "bin", "the `folder` with the programs, and for the pictures")
	only := flags.String("page", "", "look at the pages of this `name` alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	folder, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	var look looker
	switch flags.Arg(0) {
	case "axe":
		look, err = newAxe(out)
	case "shots":
		look, err = newShots(filepath.Join(folder, "shots"), out)
	default:
		err = errors.New("say what for: axe or shots")
	}
	if err != nil {
		return err
	}
	b, err := browser.Start(ctx, browser.Config{})
	if err != nil {
		return err
	}
	defer b.Close()
	return everyPage(ctx, folder, b, look, *only)
}

// A looker looks at a page that is shown. Its languages are those the page is
// opened in.
type looker interface {
	languages() []string
	at(p *browser.Page, kind, language string) error
	// done says what came of it, in one line, and fails if that is not good.
	done() error
}

// templates are the names of the pages there are.
func templates() ([]string, error) {
	module, err := stage.Module()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(module, "cloud/portal/*/pages/*.html"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no templates in %s: %w", module, err)
	}
	return pagesAmong(files)
}
