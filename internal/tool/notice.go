package tool

import (
	"context"
	"flag"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func noticeCommand() command {
	return command{
		name: "notice", args: "KEY", does: "what the owner is shown before a yes, and its hash",
		more: "The text comes from the cloud the first time (entitlement \"consent.read\"). Show all\n" +
			"of it before you pass a yes on with cardea allow.",
		shows: []string{"cardea notice voice/use --lang de"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			lang := flags.String("lang", "en", "in which `language`, or the nearest there is")
			return func(ctx context.Context, c *call) error {
				n, err := c.agent.Notice(ctx, cardea.Key(c.args[0]), *lang)
				if err != nil {
					return err
				}
				if c.json {
					return c.answer(n)
				}
				c.notice(n)
				return nil
			}
		},
	}
}

func (c *call) notice(n client.Notice) {
	c.gap()
	c.say("%s", c.style.bold(printable(n.Title)))
	c.say("%s", printable(n.Question))
	c.gap()
	var who []string
	for _, r := range n.Recipients {
		text := r.Name + ", " + r.Country
		if r.Sold {
			text += ", for money or value"
		}
		who = append(who, text)
	}
	valid := ""
	if n.ValidDays > 0 {
		valid = strconv.Itoa(n.ValidDays) + " days"
	}
	var rows table
	for _, row := range [][2]string{
		{"what", n.What}, {"why", n.Why}, {"what you get", n.Benefit}, {"without it", n.Refusal}, {"what is new", n.Changed},
		{"data", strings.Join(n.Data, ", ")}, {"who gets it", strings.Join(who, "; ")}, {"kept for", n.Retention}, {"a yes counts", valid},
		{"notice", n.Notice.String()},
	} {
		if row[1] != "" {
			rows = append(rows, []string{c.style.faint(row[0]), printable(row[1])})
		}
	}
	rows.print(c)
	c.gap()
}
