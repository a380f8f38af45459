package browser

import "fmt"

// A Finding is what axe-core has against a page.
type Finding struct {
	Rule   string   // "color-contrast"
	Help   string   // what it asks
	Impact string   // "serious"
	Where  []string // the elements' markup
}

func (f Finding) String() string {
	return fmt.Sprintf("%s (%s): %s: %q", f.Rule, f.Impact, f.Help, f.Where)
}

// Axe runs axe-core, whose program is given, on the page: every rule it has for
// WCAG 2.2 A and AA and for good practice. What it can not tell is no finding.
func (p *Page) Axe(program string) ([]Finding, error) {
	var there bool
	if err := p.Run("typeof axe === 'object'", &there); err != nil {
		return nil, err
	}
	if !there {
		if err := p.Run(program+"; true", nil); err != nil {
			return nil, fmt.Errorf("axe: %w", err)
		}
	}
	var findings []Finding
	err := p.Run(`axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
		.then(r => r.violations.map(v => ({Rule: v.id, Help: v.help, Impact: v.impact || "", Where: v.nodes.map(n => n.html + (n.any[0] ? " (" + n.any[0].message + ")" : ""))})))`, &findings)
	if err != nil {
		return nil, fmt.Errorf("axe: %w", err)
	}
	return findings, nil
}
