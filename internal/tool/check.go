package tool

import (
	"context"
	"flag"

	"github.com/cardea-id/cardea/agent/client"
)

func checkCommand() command {
	return command{
		name: "check", does: "what is degraded, and what to do about it",
		more: "The agent looks at its clock, files, socket, programs, broker, tokens, leases,\n" +
			"journal and links. What is about people needs \"admin\". Exit code 1: somebody has\n" +
			"to do something; what is only waited for is no reason.",
		shows: []string{"cardea check", "cardea check --json | jq '.findings[] | select(.state == \"act\")'"},
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(ctx context.Context, c *call) error {
				found, err := c.agent.Check(ctx)
				if err != nil {
					return err
				}
				if c.json {
					err = c.answer(found)
				} else {
					c.checkup(found)
				}
				if err == nil && found.NeedsSomebody() {
					err = errQuiet
				}
				return err
			}
		},
	}
}

func (c *call) checkup(all client.Checkup) {
	c.gap()
	worst := map[string]int{}
	var rows table
	for _, f := range all.Findings {
		worst[f.State]++
		rows = append(rows, []string{c.sign(f.State) + " " + c.style.bold(f.Check), printable(f.Found)})
		if f.Remedy != "" {
			rows = append(rows, []string{"", c.style.faint("→ ") + printable(f.Remedy)})
		}
	}
	rows.print(c)
	c.gap()
	switch {
	case worst[client.FindAct] > 0:
		c.say("%s", c.style.bad(count(worst[client.FindAct], "thing needs", "things need")+" somebody."))
	case worst[client.FindWaits] > 0:
		c.say("%s", c.style.slow("Nobody has to do anything: the agent goes on by itself."))
	default:
		c.say("%s", c.style.good("All is well."))
	}
	c.gap()
}

func (c *call) sign(state string) string {
	switch state {
	case client.FindOK:
		return c.style.good("✓")
	case client.FindWaits:
		return c.style.slow("◐")
	case client.FindAct:
		return c.style.bad("✗")
	}
	return c.style.faint("·")
}
