package tool

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func statusCommand() command {
	return command{
		name: "status", does: "who uses the device, and how it reaches its cloud",
		more: "Anybody with a file in apps.d may ask. Names are shown to those who may \"people\".",
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(ctx context.Context, c *call) error {
				st, err := c.agent.Status(ctx)
				if err != nil {
					return err
				}
				if c.json {
					return c.answer(st)
				}
				links, err := c.agent.Links(ctx)
				if err != nil {
					return err
				}
				c.status(st, links.Links)
				return nil
			}
		},
	}
}

func (c *call) status(st client.Status, people []client.Person) {
	c.gap()
	c.say("%s", c.headline(st, people))
	c.gap()
	c.fact("device", string(st.Device))
	c.fact("linked", c.names(people))
	if st.Issuer != "" {
		c.fact("cloud", printable(st.Issuer)+", "+c.online(st.Connected))
		c.fact("time", c.clock(st.Clock))
	}
	if st.Pending > 0 {
		c.fact("on its way", count(st.Pending, "decision", "decisions")+" to the cloud")
	}
	if st.Events != nil && st.Events.Waiting > 0 {
		c.fact("to be sent", count(int(st.Events.Waiting), "event", "events")+" that programs collected")
	}
	c.fact("you are", st.Program+c.style.faint("  "+strings.Join(st.Entitlements, " ")))
	c.gap()
}

// headline says who is here, and whether anything is allowed at all.
func (c *call) headline(st client.Status, people []client.Person) string {
	if st.Link.IsZero() {
		if len(people) == 0 {
			return c.style.faint("○") + " " + c.style.bold("Nobody is linked") + ": everything is denied. cardea pair"
		}
		return c.style.faint("○") + " " + c.style.bold("A guest uses this device") + ": everything is denied. cardea people"
	}
	who := "Somebody"
	if i := slices.IndexFunc(people, func(p client.Person) bool { return p.Link == st.Link }); i >= 0 && people[i].Name != "" {
		who = printable(people[i].Name)
	}
	if st.Bar != "" {
		return c.style.slow("◐") + " " + c.style.bold(who+" uses this device") + ", and everything is denied: " + reason(st.Bar)
	}
	return c.style.good("●") + " " + c.style.bold(who+" uses this device")
}

// clock says whether the time is known for whoever uses the device. Each link has
// a clock of its own, and a guest has none.
func (c *call) clock(state cardea.ClockState) string {
	if state == cardea.ClockSynced {
		return "known"
	}
	return c.style.slow("not known") + " until the cloud has answered"
}

func (c *call) online(connected bool) string {
	if connected {
		return c.style.good("connected")
	}
	return c.style.slow("not connected")
}

// names lists who is linked, in the words of those who may know them.
func (c *call) names(people []client.Person) string {
	if len(people) == 0 {
		return "nobody"
	}
	var named []string
	for _, p := range people {
		if p.Name == "" {
			return count(len(people), "person", "people")
		}
		name := printable(p.Name)
		if p.Owner {
			name += c.style.faint(" (the device's owner)")
		}
		named = append(named, name)
	}
	return strings.Join(named, ", ")
}

// reason is a reason in words that fit behind a colon.
func reason(r cardea.Reason) string {
	words := map[cardea.Reason]string{
		cardea.ReasonGranted:   "allowed",
		cardea.ReasonNotAsked:  "not asked yet",
		cardea.ReasonRefused:   "refused",
		cardea.ReasonWithdrawn: "withdrawn",
		cardea.ReasonExpired:   "it was for a time, and that is over",
		cardea.ReasonNotice:    "the question has changed and is to be asked anew",
		cardea.ReasonConflict:  "somebody said no at the same time",
		cardea.ReasonStale:     "the cloud was not heard of for too long",
		cardea.ReasonClock:     "the time is not known",
		cardea.ReasonSignature: "the cloud's word can not be trusted",
		cardea.ReasonRollback:  "what the device keeps is older than it should be",
		cardea.ReasonForked:    "there may be a copy of this device: its owner has to confirm it",
		cardea.ReasonGuest:     "nobody known uses the device",
		cardea.ReasonGuardian:  "somebody else has to agree too",
		cardea.ReasonUnknown:   "the cloud has said nothing about it",
		cardea.ReasonStore:     "what the device keeps can not be read",
	}
	if text, ok := words[r]; ok {
		return text
	}
	return fmt.Sprintf("%q", string(r))
}
