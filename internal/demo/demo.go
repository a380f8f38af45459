// Package demo is the demonstration: a cloud and a device as real processes, a
// code to scan, and a live account of what happens, with the milliseconds each
// step took. The owner is whoever sits before it, or a script that is given
// nothing but the picture on the device's screen.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing/qr"
)

// Options are how the demonstration is run.
type Options struct {
	Bin       string // folder with the programs
	Catalogue string // YAML file
	Kind      string // of the device: speaker or car
	Script    bool   // a script plays the owner
	Fault     string // "deny": the scripted owner declines
	LAN       bool   // phones on the network can reach the cloud
	TLS       bool   // by https and MQTT over TLS, with an authority of its own
	Color     bool   // Out is a terminal that shows colours
	Keys      io.Reader
	Out       io.Writer
}

// A demo runs.
type demo struct {
	Options
	stage *stage.Stage
	agent *stage.Agent
	told  *timeline
	web   *http.Client

	networkOff bool
	gift       string // where phones get the authority's certificate
}

// Run shows the demonstration until its end, or until ctx ends.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "cardea-demo-")
	if err != nil {
		return fmt.Errorf("scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &demo{Options: o, told: newTimeline(o.Out, o.Color)}
	c := stage.Config{Bin: o.Bin, Dir: dir, Catalogue: o.Catalogue, TLS: o.TLS}
	if o.LAN {
		if c.Host, err = lanAddress(); err != nil {
			return err
		}
	}
	fmt.Fprintln(o.Out, "\n  Starting the cloud and the device …")
	if d.stage, err = stage.Start(ctx, c); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stage.Close()) }()
	d.web = &http.Client{Transport: d.stage.Transport()}
	if o.LAN && o.TLS {
		gift, err := d.giveAuthority()
		if err != nil {
			return err
		}
		defer gift.Close()
	}
	if d.agent, err = d.stage.StartAgent(ctx, "device", o.Kind); err != nil {
		return err
	}
	return d.play(ctx)
}

func (d *demo) play(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	shown, err := d.show(ctx)
	if err != nil {
		return err
	}
	go d.watchDevice(ctx)
	go d.watchLedger(ctx)
	go d.watchGate(ctx)
	if d.Script {
		return d.script(ctx, shown)
	}
	return d.listen(ctx)
}

// show has the device show its code and prints its screen.
func (d *demo) show(ctx context.Context) (client.Pairing, error) {
	shown, err := d.agent.Pair(ctx)
	if err != nil {
		return shown, fmt.Errorf("start pairing: %w", err)
	}
	text, err := d.code(shown.VerificationURIComplete)
	if err != nil {
		return shown, fmt.Errorf("show code: %w", err)
	}
	fmt.Fprintf(d.Out, "\n%s\n\n", indent(text))
	fmt.Fprintf(d.Out, "  Scan it, or open   %s\n", shown.VerificationURIComplete)
	fmt.Fprintf(d.Out, "  Code to compare    %s\n", shown.UserCode)
	if d.TLS {
		fmt.Fprint(d.Out, d.trustNote())
	}
	switch {
	case d.LAN && !d.TLS:
		fmt.Fprint(d.Out, lanNote)
	case d.LAN:
	case !d.Script:
		fmt.Fprint(d.Out, "\n  The address is this computer's own; for a phone: make demo LAN=1"+withTLS[d.TLS]+"\n")
	}
	if !d.Script {
		fmt.Fprint(d.Out, "\n  n  network off and on    w  withdraw on the device    q  quit\n")
	}
	fmt.Fprintln(d.Out)
	d.told.mark("shown", shown.UserCode)
	return shown, nil
}

// code draws the code, with its own black and white where colours are shown.
func (d *demo) code(uri string) (string, error) {
	if d.Color {
		return qr.Colored(uri)
	}
	return qr.Terminal(uri, true)
}

const lanNote = `
  Without TLS, a phone can sign in, pair and decide; passkeys, secure cookies
  and privacy on this network need TLS: make demo LAN=1 TLS=1
`

var withTLS = map[bool]string{true: " TLS=1"}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// watchDevice tells what changes on the device.
func (d *demo) watchDevice(ctx context.Context) {
	var before client.Event
	for e, err := range d.agent.Watch(ctx, 0) {
		if err != nil {
			return
		}
		d.deviceChanged(before, e)
		before = e
	}
}

func (d *demo) deviceChanged(before, now client.Event) {
	if now.Pairing != before.Pairing {
		switch now.Pairing {
		case client.PairApproved:
			d.told.mark("tokens stored", "")
		case client.PairDenied:
			d.told.mark("access_denied", "has reached the device")
		case client.PairExpired:
			d.told.mark("code expired", "start again")
		}
	}
	switch {
	case now.Link.IsZero() && !before.Link.IsZero():
		d.told.mark("unlinked", "the device has forgotten the account")
	case len(now.Consents) > 0 && len(before.Consents) == 0:
		d.told.once("tokens stored", "")
		d.told.mark("statement applied", gated(now.Consents))
	default:
		d.consentsChanged(before.Consents, now.Consents)
	}
}

func (d *demo) consentsChanged(before, now []client.Consent) {
	was := map[cardea.Key]cardea.Verdict{}
	for _, c := range before {
		was[c.Key] = c.Verdict
	}
	for _, c := range now {
		if was[c.Key] != c.Verdict {
			d.told.mark("applied on the device", fmt.Sprintf("%s: %s (%s)", c.Key, c.Verdict, c.Reason))
		}
	}
}

// gated counts what the owner is asked.
func gated(consents []client.Consent) string {
	asked, allowed := 0, 0
	for _, c := range consents {
		if c.Class != cardea.ClassN {
			asked++
		}
		if c.Class != cardea.ClassN && c.Reason == cardea.ReasonGranted {
			allowed++
		}
	}
	return fmt.Sprintf("%d questions, %d allowed", asked, allowed)
}

// watched are the keys whose answers are asked for all the time.
var watched = []cardea.Query{{Key: "presence/use"}, {Key: "recommendations/use"}}

// watchGate asks as a program would, and tells when an answer turns by itself.
func (d *demo) watchGate(ctx context.Context) {
	last := map[cardea.Key]client.Answer{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
		answers, err := d.agent.DecideAll(ctx, watched...)
		if err != nil {
			continue
		}
		for _, a := range answers.Answers {
			before, known := last[a.Key]
			last[a.Key] = a
			if known && before.Verdict != a.Verdict && before.Generation == a.Generation {
				d.told.mark("by itself", fmt.Sprintf("%s: %s (%s)", a.Key, a.Verdict, a.Reason))
			}
		}
	}
}
