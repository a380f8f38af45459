package browser

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/chromedp"
)

// Glyphs checks every character of the page: it must be in one of the fonts that
// the browser says it drew the character's element with, by what fontconfig
// knows of those fonts. A character that is in none was drawn as a box. It
// returns how many characters it checked and those that have no glyph.
func (p *Page) Glyphs() (checked int, missing []string, err error) {
	err = p.do(dom.Enable(), css.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		root, err := dom.GetDocument().WithDepth(-1).Do(ctx)
		if err != nil {
			return err
		}
		return eachText(root, func(parent *cdp.Node, text string) error {
			fonts, err := css.GetPlatformFontsForNode(parent.NodeID).Do(ctx)
			if err != nil || len(fonts) == 0 { // not drawn
				return err
			}
			n, lost, err := covered(text, fonts)
			checked += n
			missing = append(missing, lost...)
			return err
		})
	}))
	if err != nil {
		return 0, nil, fmt.Errorf("glyphs: %w", err)
	}
	return checked, missing, nil
}

// eachText walks the texts of a document, each with the element it stands in.
func eachText(n *cdp.Node, do func(parent *cdp.Node, text string) error) error {
	if slices.Contains([]string{"script", "style", "title", "noscript"}, n.LocalName) {
		return nil
	}
	for _, child := range n.Children {
		if child.NodeType == cdp.NodeTypeText && strings.TrimSpace(child.NodeValue) != "" {
			if err := do(n, child.NodeValue); err != nil {
				return err
			}
		}
		if err := eachText(child, do); err != nil {
			return err
		}
	}
	return nil
}

// covered checks a text against the fonts it was drawn with.
func covered(text string, fonts []*css.PlatformFontUsage) (checked int, missing []string, err error) {
	has, err := glyphs()
	if err != nil {
		return 0, nil, err
	}
	var names []string
	for _, f := range fonts {
		if f.IsCustomFont {
			return 0, nil, nil // it is the page's own: fontconfig does not know it
		}
		names = append(names, f.FamilyName)
	}
	for _, r := range text {
		if unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf) { // leaves no ink
			continue
		}
		checked++
		if !slices.ContainsFunc(names, func(family string) bool { return has[family].contains(r) }) {
			missing = append(missing, fmt.Sprintf("%q (U+%04X) in %.40q, drawn with %s", r, r, strings.TrimSpace(text), strings.Join(names, ", ")))
		}
	}
	return checked, missing, nil
}

// ranges are characters: from the first of each pair to the second.
type ranges [][2]rune

func (all ranges) contains(r rune) bool {
	return slices.ContainsFunc(all, func(span [2]rune) bool { return span[0] <= r && r <= span[1] })
}

// glyphs are the characters that the fonts of this machine have, by family.
var glyphs = sync.OnceValues(func() (map[string]ranges, error) {
	out, err := exec.Command("fc-list", "-f", "%{family}\t%{charset}\n").Output()
	if err != nil {
		return nil, fmt.Errorf("fc-list: %w: run make chromium", err)
	}
	all := map[string]ranges{}
	for line := range strings.Lines(string(out)) {
		families, charset, _ := strings.Cut(strings.TrimSpace(line), "\t")
		chars := parseCharset(charset)
		for family := range strings.SplitSeq(families, ",") {
			all[family] = append(all[family], chars...)
		}
	}
	return all, nil
})

// parseCharset reads what fontconfig writes: "20-7e a0-17f 192".
func parseCharset(text string) (all ranges) {
	for part := range strings.FieldsSeq(text) {
		first, last, span := strings.Cut(part, "-")
		if !span {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 16, 32)
		to, err2 := strconv.ParseUint(last, 16, 32)
		if err1 == nil && err2 == nil {
			all = append(all, [2]rune{rune(from), rune(to)})
		}
	}
	return all
}
