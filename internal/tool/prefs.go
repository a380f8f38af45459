package tool

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func prefsCommand() command {
	return command{
		name: "prefs", args: "[KEY] [VALUE]", does: "how they like it: show, or set one",
		more:  "A value is a number, true, false, text, or some of several: '[\"jazz\",\"news\"]' (entitlement \"prefs\").",
		shows: []string{"cardea prefs", "cardea prefs voice_speed", "cardea prefs voice_speed 120 --reach everywhere"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			var said string
			reachFlag(flags, &said, "device or everywhere")
			return func(ctx context.Context, c *call) error {
				reach, err := checkReach(said, cardea.ReachDevice, cardea.ReachEverywhere)
				if err != nil {
					return err
				}
				if len(c.args) == 2 {
					return c.prefer(ctx, client.PreferenceChange{
						Key: cardea.PreferenceKey(c.args[0]), Value: typedValue(c.args[1]), Reach: reach,
					})
				}
				held, err := c.agent.Preferences(ctx)
				if err != nil {
					return err
				}
				return c.preferences(held)
			}
		},
	}
}

func (c *call) prefer(ctx context.Context, change client.PreferenceChange) error {
	done, err := c.agent.SetPreference(ctx, change)
	if err != nil || c.json {
		return errors.Join(err, c.answerIf(err == nil, done))
	}
	c.say("%s %s is %s.", c.style.good("✓"), c.style.bold(string(change.Key)), change.Value)
	return nil
}

// preferences prints all, or the value alone of the one that was named.
func (c *call) preferences(held client.Preferences) error {
	if len(c.args) == 1 {
		i := slices.IndexFunc(held.Preferences, func(p client.Preference) bool { return string(p.Key) == c.args[0] })
		switch {
		case i < 0:
			return fmt.Errorf("there is no preference %q that you may see: cardea prefs lists them", c.args[0])
		case c.json:
			return c.answer(held.Preferences[i])
		}
		fmt.Fprintln(c.Out, plainValue(held.Preferences[i].Value))
		return nil
	}
	if c.json {
		return c.answer(held)
	}
	c.gap()
	var rows table
	for _, p := range held.Preferences {
		rows = append(rows, []string{c.style.bold(string(p.Key)), plainValue(p.Value), c.style.faint(whereFrom(p))})
	}
	if len(rows) == 0 {
		rows = table{{"There is no preference that you may see."}}
	}
	rows.print(c)
	c.gap()
	return nil
}

// whereFrom says where a preference was set, when, and what for.
func whereFrom(p client.Preference) string {
	var said []string
	if p.Source != client.SourceDefault {
		said = append(said, string(p.Source))
	}
	if p.Since != 0 {
		said = append(said, p.Since.Time().Format(time.DateOnly))
	}
	if p.Purpose != "" {
		said = append(said, "for "+string(p.Purpose))
	}
	return printable(strings.Join(said, " "))
}

// typedValue reads what was typed: as JSON where it is a value, and else as text.
func typedValue(typed string) json.RawMessage {
	if v, err := cardea.ParseValue(typed); err == nil {
		return json.RawMessage(v)
	}
	text, _ := json.Marshal(typed) // a string always can be
	return text
}

func plainValue(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return printable(text)
	}
	return printable(string(v))
}
