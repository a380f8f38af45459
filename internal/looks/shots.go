package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea/internal/browser"
)

// pictured are the widths of the pictures: a small telephone and a desk.
var pictured = []int{320, 1280}

// tongues are the languages the pages speak.
var tongues = []string{"en", "de", "ko", "th", "ja"}

// shots takes pictures of pages.
type shots struct {
	folder     string
	out        io.Writer
	sheet      map[string][]image.Image // of each page, in the order taken
	order      []string
	pictures   int
	characters int
	missing    []string
}

func newShots(folder string, out io.Writer) (*shots, error) {
	err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755))
	return &shots{folder: folder, out: out, sheet: map[string][]image.Image{}}, err
}

func (s *shots) languages() []string { return tongues }

func (s *shots) at(p *browser.Page, kind, language string) error {
	n, missing, err := p.Glyphs()
	if err != nil {
		return err
	}
	s.characters += n
	for _, m := range missing {
		s.missing = append(s.missing, fmt.Sprintf("%s in %s: %s", kind, language, m))
	}
	for _, dark := range []bool{false, true} {
		for _, width := range pictured {
			if err := p.SetLook(browser.Look{Width: width, Height: 844, Dark: dark, Still: true}); err != nil {
				return err
			}
			if err := s.take(p, kind, language+"-"+look(dark, width)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shots) take(p *browser.Page, kind, name string) error {
	raw, err := p.Shot()
	if err != nil {
		return err
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	s.pictures++
	if s.sheet[kind] == nil {
		s.order = append(s.order, kind)
	}
	s.sheet[kind] = append(s.sheet[kind], smaller(img, 3))
	folder := filepath.Join(s.folder, kind)
	return errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, name+".png"), raw, 0o644))
}

// done writes a sheet for each page: a row for each language, and in it light and
// dark, narrow and wide.
func (s *shots) done() error {
	for _, kind := range s.order {
		var out bytes.Buffer
		if err := png.Encode(&out, contacts(s.sheet[kind], 2*len(pictured))); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.folder, kind+".png"), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	for _, m := range s.missing {
		fmt.Fprintln(s.out, "no glyph:", m)
	}
	fmt.Fprintf(s.out, "shots: %d pages x %d languages x 2 themes x %d widths = %d pictures in %s; %d characters, %d without a glyph\n",
		len(s.order), len(tongues), len(pictured), s.pictures, s.folder, s.characters, len(s.missing))
	if len(s.missing) > 0 {
		return fmt.Errorf("%d characters have no glyph", len(s.missing))
	}
	return nil
}
