package tool

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/agent/client"
)

func whoamiCommand() command {
	return command{
		name: "whoami", does: "what the agent takes you for, and what you may ask",
		more:  "Run it as the program whose rule you want to see. Exit code 1: no rule is for you.",
		shows: []string{"cardea whoami", "sudo -u recommender cardea whoami", "cardea whoami --json | jq -r .file > /etc/cardea/apps.d/me.toml"},
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(ctx context.Context, c *call) error {
				who, err := c.agent.Whoami(ctx)
				if err != nil {
					return err
				}
				if c.json {
					err = c.answer(who)
				} else {
					c.whoami(who)
				}
				if err == nil && who.Program == "" {
					err = errQuiet
				}
				return err
			}
		},
	}
}

func (c *call) whoami(who client.Whoami) {
	c.gap()
	if who.Program == "" {
		c.say("%s %s to the agent", c.style.bad("✗"), c.style.bold("You are nobody"))
	} else {
		c.say("%s You are %s to the agent", c.style.good("●"), c.style.bold(who.Program))
	}
	c.gap()
	c.fact("process", fmt.Sprint(who.PID))
	c.fact("user", named(userName(who.UID), who.UID))
	c.fact("group", named(groupName(who.GID), who.GID))
	unit := printable(who.Unit)
	if unit == "" {
		unit = c.style.faint("none that the kernel can tell")
	}
	c.fact("unit", unit)
	if who.Rule != nil {
		c.gap()
		c.fact("rule", printable(who.Rule.File))
		c.fact("it is for", printable(ruleWords(*who.Rule)))
		c.fact("you may", c.list(who.Entitlements))
		c.fact("purposes", c.list(who.Purposes))
		c.fact("preferences", c.list(who.Preferences))
		c.fact("audiences", c.list(who.Audiences))
	}
	if who.Remedy != "" {
		c.gap()
		c.say("%s", printable(who.Remedy))
	}
	if who.File != "" {
		c.gap()
		for line := range strings.Lines(who.File) {
			c.say("  %s", c.style.faint(printable(strings.TrimRight(line, "\n"))))
		}
	}
	c.gap()
}

func named(name string, id uint32) string {
	if name == fmt.Sprint(id) {
		return name
	}
	return fmt.Sprintf("%s (%d)", name, id)
}

// list is a list of a program's file.
func (c *call) list(items []string) string {
	switch {
	case len(items) == 0:
		return c.style.faint("none")
	case len(items) == 1 && items[0] == "*":
		return "all"
	}
	return printable(strings.Join(items, "  "))
}

// ruleWords says in one line whom a rule is for.
func ruleWords(r client.Rule) string {
	var all []string
	for _, part := range [][2]string{{"unit", r.Unit}, {"user", r.User}, {"group", r.Group}} {
		if part[1] != "" {
			all = append(all, part[0]+" "+part[1])
		}
	}
	return strings.Join(all, " and ")
}
