package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/pairing/qr"
)

func pairCommand() command {
	return command{
		name: "pair", does: "show the code until somebody has scanned it",
		more: "A code that runs out is followed by a new one. Ctrl-C cancels. Exit code 0: the\n" +
			"device is linked; 1: they declined, or nobody came (entitlement \"pair\").",
		shows: []string{"cardea pair", "cardea pair --svg code.svg", "cardea pair --new-owner", "cardea pair --json"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			var p pairing
			flags.BoolVar(&p.newOwner, "new-owner", false, "the device is somebody else's now: erase the others first (\"admin\")")
			flags.BoolVar(&p.light, "light", false, "the terminal has a light ground and shows no colours")
			flags.IntVar(&p.presses, "confirm", 0, "the device's button was pressed `n` times: say so, and no more")
			flags.StringVar(&p.svg, "svg", "", "write the picture to a `file` too")
			flags.StringVar(&p.png, "png", "", "write the picture to a `file` too")
			return func(ctx context.Context, c *call) error {
				p.call, p.live = c, isTerminal(c.Out) && !c.json && c.Env("TERM") != "dumb"
				if p.presses != 0 {
					return p.confirm(ctx)
				}
				return p.run(ctx)
			}
		},
	}
}

// A pairing is shown until it has ended.
type pairing struct {
	*call
	newOwner, light bool
	svg, png        string
	presses         int
	live            bool // what was printed can be replaced

	shown string // the code on the screen
	line  string // below the picture, to be replaced
}

// look is how often the agent is asked. The countdown goes by seconds.
const look = 250 * time.Millisecond

func (p *pairing) run(ctx context.Context) error {
	before := p.people(ctx)
	start := p.agent.Pair
	if p.newOwner {
		start = p.agent.PairNewOwner
	}
	now, err := start(ctx)
	for err == nil {
		if err = p.show(ctx, now); err != nil || ended(now.State) {
			break
		}
		select {
		case <-ctx.Done():
			return p.cancel()
		case <-time.After(look):
		}
		now, err = p.agent.Pairing(ctx)
	}
	if ctx.Err() != nil {
		return p.cancel()
	}
	if err != nil {
		return err
	}
	return p.result(ctx, now, before)
}

func ended(state string) bool {
	return state != client.PairPending && state != client.PairConfirm && state != client.PairApproved
}

// confirm is the button, for a device that has none yet.
func (p *pairing) confirm(ctx context.Context) error {
	before := p.people(ctx)
	now, err := p.agent.ConfirmPairing(ctx, p.presses)
	for err == nil && !ended(now.State) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		now, err = p.agent.Pairing(ctx)
	}
	if err != nil {
		return err
	}
	return p.result(ctx, now, before)
}

// cancel forgets the code, so that nobody can answer it any more.
func (p *pairing) cancel() error {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	if _, err := p.agent.CancelPairing(ctx); err != nil {
		return err
	}
	if !p.json {
		p.wipe()
		fmt.Fprintf(p.Err, "  Cancelled: the code counts no more.\n")
	}
	return context.Canceled
}

// show prints a code that is new, and how long it counts.
func (p *pairing) show(ctx context.Context, now client.Pairing) error {
	if now.State == client.PairPending && now.UserCode != p.shown {
		if err := p.showCode(ctx, now); err != nil {
			return err
		}
	}
	if p.json || !p.live {
		return nil
	}
	p.below(now)
	return nil
}

func (p *pairing) showCode(ctx context.Context, now client.Pairing) error {
	again := p.shown != ""
	p.shown = now.UserCode
	if err := p.save(ctx); err != nil {
		return err
	}
	if p.json {
		return p.answer(now)
	}
	picture, err := p.picture(now)
	if err != nil {
		return err
	}
	if again && p.live {
		p.wipe()
		// The picture is as tall as the one before it: both are of one address.
		fmt.Fprintf(p.Out, "\x1b[%dA\x1b[J", strings.Count(picture, "\n")+around)
	}
	p.gap()
	for line := range strings.Lines(picture) {
		fmt.Fprintf(p.Out, "  %s", line)
	}
	p.gap()
	p.say("%s", p.style.bold("Scan it with your phone"))
	p.say("or open %s", printable(now.VerificationURI))
	p.say("and type %s", p.style.bold(now.UserCode))
	return nil
}

// around is how many lines stand around a picture. With them and the countdown a
// small code fits the 24 lines of a terminal.
const around = 5

func (p *pairing) picture(now client.Pairing) (string, error) {
	if p.style.on {
		return qr.Colored(now.Scan())
	}
	return qr.Terminal(now.Scan(), !p.light)
}

// save writes the pictures that are wanted.
func (p *pairing) save(ctx context.Context) error {
	if p.svg != "" {
		picture, err := p.agent.QRVector(ctx)
		if err = errors.Join(err, os.WriteFile(p.svg, picture, 0o644)); err != nil {
			return err
		}
	}
	if p.png != "" {
		picture, err := p.agent.QRImage(ctx, 512)
		if err = errors.Join(err, os.WriteFile(p.png, picture, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// below is what changes: the countdown, or that it goes on.
func (p *pairing) below(now client.Pairing) {
	text := ""
	switch now.State {
	case client.PairPending:
		left := time.Duration(now.ExpiresIn) * time.Second
		text = fmt.Sprintf("%s counts %d:%02d more   %s", p.style.slow("◐"), int(left.Minutes()), int(left.Seconds())%60, p.style.faint("Ctrl-C cancels"))
	case client.PairConfirm:
		text = p.style.good("◐") + " They said yes: press the device's button as their phone says"
	case client.PairApproved:
		text = p.style.good("◐") + " They said yes: linking …"
	default:
		return
	}
	if now.Problem != "" {
		text += "   " + p.style.slow(printable(now.Problem))
	}
	if text == p.line {
		return // a terminal that is written to all the time flickers
	}
	p.wipe()
	p.say("%s", text)
	p.line = text
}

// wipe takes back what below printed.
func (p *pairing) wipe() {
	if p.line != "" {
		fmt.Fprint(p.Out, "\x1b[1A\x1b[J")
		p.line = ""
	}
}

// result tells how it ended.
func (p *pairing) result(ctx context.Context, now client.Pairing, before []client.Person) error {
	if p.json {
		if err := p.answer(now); err != nil {
			return err
		}
	}
	if now.State == client.PairLinked {
		if !p.json {
			p.say("%s %s.", p.style.good("●"), p.style.bold(p.welcome(ctx, now, before)))
			p.gap()
		}
		return nil
	}
	if !p.json {
		p.say("%s %s", p.style.bad("✗"), printable(why(now)))
		p.gap()
	}
	return errQuiet
}

func why(now client.Pairing) string {
	switch {
	case now.Problem != "":
		return "It did not work: " + now.Problem + "."
	case now.State == client.PairDenied:
		return "They declined, or a button was pressed another number of times. The device knows nothing about them."
	case now.State == client.PairExpired:
		return "Nobody answered in time: cardea pair shows a new code."
	}
	return "The pairing was cancelled."
}

// people are who is linked, as far as the caller may know.
func (p *pairing) people(ctx context.Context) []client.Person {
	links, err := p.agent.Links(ctx)
	if err != nil {
		return nil // the pairing itself says what is wrong
	}
	return links.Links
}

// welcome names who has come.
func (p *pairing) welcome(ctx context.Context, now client.Pairing, before []client.Person) string {
	for _, person := range p.people(ctx) {
		known := slices.ContainsFunc(before, func(b client.Person) bool { return b.Link == person.Link })
		if person.Link == now.Link && !known || !known && now.Link.IsZero() {
			if person.Name != "" {
				return printable(person.Name) + " is linked"
			}
		}
	}
	if who, err := p.agent.Identity(ctx); err == nil && who.Link == now.Link && who.Name != "" {
		return printable(who.Name) + " is linked"
	}
	return "The device is linked"
}
