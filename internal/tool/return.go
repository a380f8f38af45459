package tool

import (
	"context"
	"flag"
)

func returnCommand() command {
	return command{
		name: "return", does: "give a rented device back: nothing of who used it stays",
		more: "Ends all links and gives the device a new key, with or without a network; their\n" +
			"accounts are told when there is one (entitlement \"admin\"). It asks nothing back.",
		shows: []string{"cardea return --yes"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			sure := flags.Bool("yes", false, "that is meant: it can not be taken back")
			return func(ctx context.Context, c *call) error {
				if !*sure {
					return usagef("what is on the device is gone after this: say --yes")
				}
				before, err := c.agent.Status(ctx)
				if err != nil {
					return err
				}
				done, err := c.agent.Reset(ctx)
				if err != nil {
					return err
				}
				if c.json {
					return c.answer(done)
				}
				c.gap()
				c.say("%s The device is given back.", c.style.good("✓"))
				var rows table
				for _, id := range done.Ended {
					rows = append(rows, []string{"ended", id.String()})
				}
				rows = append(rows, []string{"was", string(before.Device)}, []string{"is now", string(done.Device)})
				rows.print(c)
				c.gap()
				return nil
			}
		},
	}
}
