package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/stage"
)

// widths are those of a small telephone, a tablet and a desk.
var widths = []int{320, 768, 1280}

// axe has axe-core judge pages.
type axe struct {
	program      string
	out          io.Writer
	pages, looks int
	findings     int
}

func newAxe(out io.Writer) (*axe, error) {
	module, err := stage.Module()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(filepath.Join(module, "internal/looks/npm/node_modules/axe-core/axe.min.js"))
	if err != nil {
		return nil, fmt.Errorf("axe-core is not here: run make axe: %w", err)
	}
	return &axe{program: string(program), out: out}, nil
}

// One language is enough: what axe-core judges is no words.
func (a *axe) languages() []string { return []string{"en"} }

func (a *axe) at(p *browser.Page, kind, _ string) error {
	a.pages++
	before := a.findings
	for _, dark := range []bool{false, true} {
		for _, width := range widths {
			a.looks++
			if err := p.SetLook(browser.Look{Width: width, Height: 800, Dark: dark, Still: true}); err != nil {
				return err
			}
			found, err := p.Axe(a.program)
			if err != nil {
				return err
			}
			for _, f := range found {
				fmt.Fprintf(a.out, "%s, %s: %s\n", kind, look(dark, width), f)
			}
			a.findings += len(found)
			over, err := p.Overflow()
			if err != nil {
				return err
			}
			if over > 0 {
				a.findings++
				fmt.Fprintf(a.out, "%s, %s: %d px beside the window\n", kind, look(dark, width), over)
			}
		}
	}
	fmt.Fprintf(a.out, "%-40s %d findings\n", kind, a.findings-before)
	return nil
}

func look(dark bool, width int) string {
	theme := "light"
	if dark {
		theme = "dark"
	}
	return fmt.Sprintf("%s-%d", theme, width)
}

func (a *axe) done() error {
	fmt.Fprintf(a.out, "axe: %d pages x 2 themes x %d widths = %d looks, %d findings\n", a.pages, len(widths), a.looks, a.findings)
	if a.findings > 0 {
		return fmt.Errorf("%d findings", a.findings)
	}
	return nil
}
