package tool

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func watchCommand() command {
	return command{
		name: "watch", does: "every change, one per line, until Ctrl-C",
		more: "You see what your other entitlements show (entitlement \"events\"). With --json each\n" +
			"line is the whole state, so the last one is always right.",
		shows: []string{"cardea watch", "cardea watch --json | jq -c .consents"},
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(ctx context.Context, c *call) error {
				var last *client.Event
				for event, err := range c.agent.Watch(ctx, 0) {
					if err != nil {
						return err
					}
					if c.json {
						if err := c.answer(event); err != nil {
							return err
						}
						continue
					}
					for _, line := range c.changes(last, event) {
						c.say("%s  %s", c.style.faint(time.Now().Format(time.TimeOnly)), line)
					}
					last = &event
				}
				return ctx.Err()
			}
		},
	}
}

// changes are what differs from the event before; of the first, what there is.
func (c *call) changes(before *client.Event, now client.Event) (lines []string) {
	if before == nil {
		before = &client.Event{Link: now.Link, Pairing: now.Pairing}
		if now.Link.IsZero() {
			lines = append(lines, c.style.faint("○")+" nobody known uses the device")
		}
	}
	if now.Link != before.Link {
		if now.Link.IsZero() {
			return append(lines, c.style.faint("○")+" nobody known uses the device any more")
		}
		lines = append(lines, c.style.good("●")+" somebody else uses the device now")
		before = &client.Event{Pairing: before.Pairing}
	}
	if now.Pairing != before.Pairing {
		lines = append(lines, c.style.slow("◐")+" pairing: "+now.Pairing)
	}
	return append(append(lines, c.consentChanges(before.Consents, now.Consents)...), c.preferenceChanges(before.Preferences, now.Preferences)...)
}

func (c *call) consentChanges(before, now []client.Consent) (lines []string) {
	was := map[cardea.Key]string{}
	for _, x := range before {
		was[x.Key] = standing(x)
	}
	for _, x := range now {
		old, known := was[x.Key]
		delete(was, x.Key)
		if text := standing(x); !known || text != old {
			lines = append(lines, c.change(c.style.mark(x.Verdict), string(x.Key), text))
		}
	}
	for _, x := range before {
		if _, gone := was[x.Key]; gone {
			lines = append(lines, c.change(c.style.mark(cardea.Deny), string(x.Key), "is asked no more"))
		}
	}
	return lines
}

func (c *call) preferenceChanges(before, now []client.Preference) (lines []string) {
	was := map[cardea.PreferenceKey]string{}
	for _, p := range before {
		was[p.Key] = plainValue(p.Value)
	}
	for _, p := range now {
		value := plainValue(p.Value)
		if old, known := was[p.Key]; !known || old != value {
			lines = append(lines, c.change(c.style.faint("="), string(p.Key), value))
		}
		delete(was, p.Key)
	}
	for _, p := range before {
		if _, gone := was[p.Key]; gone {
			lines = append(lines, c.change(c.style.faint("="), string(p.Key), "can not be set any more"))
		}
	}
	return lines
}

// change is one line: a sign, what it is about, and what that is now.
func (c *call) change(sign, about, now string) string {
	return fmt.Sprintf("%s %s  %s", sign, c.style.bold(fmt.Sprintf("%-30s", about)), now)
}
