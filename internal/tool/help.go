package tool

import (
	"flag"
	"fmt"
	"strings"
)

// help is for all commands, or for the one that is named.
func help(args []string, to IO) error {
	if len(args) > 1 {
		c, ok := find(args[1])
		if !ok {
			return usagef("there is no command %q%s: cardea help lists them", args[1], nearest(args[1]))
		}
		c.help(to)
		return nil
	}
	s := styleOf(to)
	fmt.Fprintf(to.Out, "\n  %s  who uses this device, and what they allow it\n", s.bold("cardea"))
	for _, part := range parts() {
		fmt.Fprintf(to.Out, "\n  %s\n", s.faint(part.title))
		for _, c := range part.commands {
			fmt.Fprintf(to.Out, "    %s %s\n", s.bold(fmt.Sprintf("%-11s", c.name)), c.does)
		}
	}
	fmt.Fprintf(to.Out, "\n  %s\n", s.faint("Such as"))
	for _, line := range []string{
		"cardea pair", "cardea withdraw voice/use --reach everywhere", "source <(cardea completion bash)",
	} {
		fmt.Fprintf(to.Out, "    %s\n", line)
	}
	fmt.Fprintf(to.Out, "\n  %s  --json   --socket PATH, or %s   --help\n", s.faint("With each"), socketEnv)
	fmt.Fprintf(to.Out, "  %s  0 done   1 no, or something needs a person   2 wrong use   3 no agent\n\n", s.faint("Exit code"))
	return nil
}

// help is for one command.
func (c command) help(to IO) {
	s := styleOf(to)
	fmt.Fprintf(to.Out, "\n  %s  %s\n", s.bold(strings.TrimSpace("cardea "+c.name+" "+c.args)), c.does)
	if c.more != "" {
		fmt.Fprintf(to.Out, "\n  %s\n", strings.ReplaceAll(c.more, "\n", "\n  "))
	}
	var lines [][2]string
	for _, f := range c.flags() {
		lines = append(lines, [2]string{f.shown(), f.usage})
	}
	if len(lines) > 0 {
		fmt.Fprintln(to.Out)
	}
	for _, l := range lines {
		fmt.Fprintf(to.Out, "    %s %s\n", s.bold(fmt.Sprintf("%-20s", l[0])), l[1])
	}
	if len(c.shows) > 0 {
		fmt.Fprintf(to.Out, "\n  %s\n    %s\n", s.faint("Such as"), strings.Join(c.shows, "\n    "))
	}
	fmt.Fprintln(to.Out)
}

// A flagLine is one flag of a command, as help and completion show it.
type flagLine struct{ name, value, usage string }

func (f flagLine) shown() string {
	if f.value == "" {
		return "--" + f.name
	}
	return "--" + f.name + " " + f.value
}

// flags are those of the command, then those of all.
func (c command) flags() (all []flagLine) {
	set := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(set)
	set.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		all = append(all, flagLine{f.Name, strings.ToUpper(value), usage})
	})
	if !c.local {
		all = append(all, flagLine{"json", "", "print what the agent answered"},
			flagLine{"socket", "PATH", "where the agent listens (" + socketEnv + ")"})
	}
	return all
}
