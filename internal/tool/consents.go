package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func consentsCommand() command {
	return command{
		name: "consents", does: "what is allowed here, for how long, and why not",
		more: "You see the purposes your file in apps.d lists (entitlement \"consent.read\").",
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(ctx context.Context, c *call) error {
				held, err := c.agent.Consents(ctx)
				if err != nil {
					return err
				}
				if c.json {
					return c.answer(held)
				}
				c.consents(held.Consents)
				return nil
			}
		},
	}
}

func (c *call) consents(all []client.Consent) {
	c.gap()
	if len(all) == 0 {
		c.say("Nothing is asked that your file in apps.d lists.")
	}
	var rows table
	for _, consent := range all {
		rows = append(rows, []string{
			c.style.mark(consent.Verdict) + " " + c.style.bold(string(consent.Key)), standing(consent), left(consent),
			c.style.faint(fmt.Sprintf("class %s, version %d", consent.Class, consent.Version)),
		})
	}
	rows.print(c)
	c.gap()
}

// standing is what counts now and why.
func standing(consent client.Consent) string {
	text := reason(consent.Reason)
	switch {
	case consent.Verdict == cardea.AllowLocal:
		text = "allowed on this device only"
	case consent.Everyone:
		text = "stopped for everyone by the device's owner"
	case consent.Class == cardea.ClassN:
		text = "needed for what was asked for"
	}
	if consent.Own != "" {
		text += ", the cloud has yet to hear"
	}
	return text
}

// left is how long a yes counts without the cloud.
func left(consent client.Consent) string {
	if consent.LeftMS <= 0 || consent.Verdict == cardea.Deny {
		return ""
	}
	return span(time.Duration(consent.LeftMS)*time.Millisecond) + " left"
}

// reachFlag declares how far a decision reaches.
func reachFlag(flags *flag.FlagSet, reach *string, words string) {
	flags.StringVar(reach, "reach", string(cardea.ReachDevice), "how far `it` reaches: "+words)
}

func checkReach(reach string, words ...cardea.Reach) (cardea.Reach, error) {
	if !slices.Contains(words, cardea.Reach(reach)) {
		return "", usagef("--reach is one of %s, not %q", strings.Trim(fmt.Sprint(words), "[]"), reach)
	}
	return cardea.Reach(reach), nil
}

func withdrawCommand() command {
	return command{
		name: "withdraw", args: "KEY", does: "stop it, here or everywhere, at once",
		more: "When the command is done the key is denied on this device and the stop is on\n" +
			"its disk; the cloud hears of it when it can (entitlement \"consent.write\").",
		shows: []string{"cardea withdraw voice/use", "cardea withdraw recommendations/use --reach everywhere"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			var said string
			reachFlag(flags, &said, "device, everywhere, or everyone at this device")
			return func(ctx context.Context, c *call) error {
				reach, err := checkReach(said, cardea.ReachDevice, cardea.ReachEverywhere, cardea.ReachEveryone)
				if err != nil {
					return err
				}
				done, err := c.agent.Withdraw(ctx, client.Withdrawal{Key: cardea.Key(c.args[0]), Reach: reach})
				if err != nil || c.json {
					return errors.Join(err, c.answerIf(err == nil, done))
				}
				c.say("%s %s is stopped %s.", c.style.good("✓"), c.style.bold(c.args[0]), map[cardea.Reach]string{
					cardea.ReachDevice:     "on this device",
					cardea.ReachEverywhere: "on this device; the others follow as they hear of it",
					cardea.ReachEveryone:   "for everyone at this device",
				}[reach])
				return nil
			}
		},
	}
}

func allowCommand() command {
	return command{
		name: "allow", args: "KEY", does: "say yes for the owner to what a screen showed",
		more: "A yes names the notice its owner was shown, by its hash. It is sent to the cloud,\n" +
			"and counts at once only for what stays on the device (entitlement \"consent.write\").\n" +
			"With --reach everyone, a stop for everyone is taken back, which is nobody's yes.",
		shows: []string{"cardea allow voice/use --notice 9f86d081…0f00a08", "cardea allow voice/use --reach everyone"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			var said, notice string
			reachFlag(flags, &said, "device, everywhere, or everyone at this device")
			flags.StringVar(&notice, "notice", "", "what was shown, by its `hash`")
			version := flags.Uint("version", 0, "which `version` of the purpose that was (the one in force)")
			return func(ctx context.Context, c *call) error {
				g := client.Grant{Key: cardea.Key(c.args[0]), Version: uint32(*version)}
				var err error
				if g.Reach, err = checkReach(said, cardea.ReachDevice, cardea.ReachEverywhere, cardea.ReachEveryone); err != nil {
					return err
				}
				if g, err = c.shown(ctx, g, notice); err != nil {
					return err
				}
				done, err := c.agent.Allow(ctx, g)
				if err != nil || c.json {
					return errors.Join(err, c.answerIf(err == nil, done))
				}
				c.say("%s The yes to %s is on its way to the cloud.", c.style.good("✓"), c.style.bold(c.args[0]))
				return nil
			}
		},
	}
}

// shown adds what the screen was: the newest statement, which is what counts
// against a no its owner could not have seen.
func (c *call) shown(ctx context.Context, g client.Grant, notice string) (client.Grant, error) {
	if g.Reach == cardea.ReachEveryone {
		if notice != "" || g.Version != 0 {
			return g, usagef("with --reach everyone nobody says yes: leave --notice and --version out")
		}
		return g, nil
	}
	if err := g.Notice.UnmarshalText([]byte(strings.TrimSpace(notice))); err != nil || g.Notice.IsZero() {
		return g, usagef("--notice is the hash of what the owner was shown: 64 hexadecimal digits, as cardea notice has it")
	}
	held, err := c.agent.Consents(ctx)
	if err != nil {
		return g, err
	}
	g.Link, g.Head = held.Link, &held.Head
	i := slices.IndexFunc(held.Consents, func(x client.Consent) bool { return x.Key == g.Key })
	if g.Version == 0 && i >= 0 {
		g.Version = held.Consents[i].Version
	}
	return g, nil
}

func (c *call) answerIf(ok bool, v any) error {
	if !ok {
		return nil
	}
	return c.answer(v)
}
