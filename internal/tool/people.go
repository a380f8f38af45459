package tool

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// guest is what stands where a link would: nobody who is linked.
const guest = "guest"

func peopleCommand() command {
	return command{
		name: "people", args: "[LINK]", does: "who is linked; or say which of them is here now",
		more: "Consents, preferences and tokens are those of whoever is here. For a guest everything\n" +
			"is denied. Saying who is here, and their names, need the entitlement \"people\".",
		shows: []string{"cardea people", "cardea people kZ2v7Q5nSgyLk0cXHq8b1A", "cardea people guest"},
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(ctx context.Context, c *call) error {
				if len(c.args) > 0 {
					return c.here(ctx, c.args[0])
				}
				held, err := c.agent.Links(ctx)
				if err != nil || c.json {
					return errors.Join(err, c.answerIf(err == nil, held))
				}
				c.people(held.Links)
				return nil
			}
		},
	}
}

// here says who uses the device from now on.
func (c *call) here(ctx context.Context, who string) error {
	var now client.Switched
	var err error
	if who == guest {
		now, err = c.agent.Guest(ctx)
	} else {
		var link cardea.LinkID
		if err := link.UnmarshalText([]byte(who)); err != nil {
			return usagef("%q is neither guest nor a link, as cardea people lists them", who)
		}
		now, err = c.agent.Activate(ctx, link)
	}
	switch {
	case err != nil:
		return err
	case c.json:
		return c.answer(now)
	case now.Link.IsZero():
		c.say("%s A guest uses this device: everything is denied.", c.style.good("✓"))
	default:
		c.say("%s %s uses this device.", c.style.good("✓"), c.style.bold(now.Link.String()))
	}
	return nil
}

func (c *call) people(all []client.Person) {
	c.gap()
	if len(all) == 0 {
		c.say("Nobody is linked. cardea pair")
	}
	var rows table
	for _, p := range all {
		var is []string
		mark := c.style.faint("○")
		if p.Active {
			mark, is = c.style.good("●"), append(is, "here now")
		}
		if p.Owner {
			is = append(is, "the device's owner")
		}
		rows = append(rows, []string{mark + " " + c.style.bold(p.Link.String()), printable(p.Name), c.style.faint(strings.Join(is, ", "))})
	}
	rows.print(c)
	c.gap()
}
