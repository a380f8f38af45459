package tool

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/cardea-id/cardea"
)

// A style is how text is set off where colours are shown; elsewhere it is
// nothing.
type style struct{ on bool }

// styleOf obeys no-color.org.
func styleOf(to IO) style {
	return style{isTerminal(to.Out) && to.Env("NO_COLOR") == "" && to.Env("TERM") != "dumb"}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s style) with(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string  { return s.with("1", text) }
func (s style) faint(text string) string { return s.with("2", text) }
func (s style) good(text string) string  { return s.with("32", text) }
func (s style) bad(text string) string   { return s.with("31", text) }
func (s style) slow(text string) string  { return s.with("33", text) }

// mark is the sign before a line: yes, no, or on its way. It says the same
// without colours.
func (s style) mark(verdict cardea.Verdict) string {
	switch verdict {
	case cardea.Allow, cardea.AllowLocal:
		return s.good("●")
	case cardea.Hold:
		return s.slow("◐")
	}
	return s.faint("○")
}

// say prints a line, two spaces in.
func (c *call) say(format string, args ...any) {
	fmt.Fprintf(c.Out, "  "+format+"\n", args...)
}

// gap prints an empty line.
func (c *call) gap() { fmt.Fprintln(c.Out) }

// fact prints a name and what it is.
func (c *call) fact(name, value string) {
	if value != "" {
		c.say("%s %s", c.style.faint(fmt.Sprintf("%-14s", name)), value)
	}
}

// answer prints what the agent answered, as JSON on one line.
func (c *call) answer(v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(c.Out, "%s\n", text)
	}
	return err
}

// A table has columns as wide as what is in them. Colours count for nothing.
type table [][]string

func (t table) print(c *call) {
	var wide []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], width(cell))
		}
	}
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", wide[i]-width(cell)+2))
			}
		}
		c.say("%s", strings.TrimRight(line.String(), " "))
	}
}

// width counts characters, without those that set a colour.
func width(text string) int {
	n := utf8.RuneCountInString(text)
	for {
		_, rest, ok := strings.Cut(text, "\x1b[")
		if !ok {
			return n
		}
		code, after, _ := strings.Cut(rest, "m")
		n -= len("\x1b[m") + len(code)
		text = after
	}
}

// span is a time in the one or two units a person would say it in.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 100*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printable keeps what others wrote from writing to the terminal itself.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, text)
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
