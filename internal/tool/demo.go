package tool

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/cardea-id/cardea/internal/demo"
)

func demoCommand() command {
	return command{
		name: "demo", does: "a cloud and a device on this computer, live", local: true,
		more: "Real processes in a scratch folder: the device shows its code, and every step is\n" +
			"told with the milliseconds it took. Nothing is left behind.",
		shows: []string{"cardea demo", "cardea demo --lan --tls", "cardea demo --owner script"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			var o demo.Options
			owner := flags.String("owner", "you", "`who` plays the owner: you or script")
			flags.StringVar(&o.Fault, "fault", "", "`what` goes wrong: deny has the scripted owner decline")
			flags.StringVar(&o.Kind, "kind", "speaker", "the device's `kind`: speaker or car")
			flags.StringVar(&o.Catalogue, "catalogue", "testdata/catalogue.yaml", "what the owner is asked, a YAML `file`")
			flags.StringVar(&o.Bin, "bin", "", "the `folder` of cardea-cloud and cardea-agent (this program's)")
			flags.BoolVar(&o.LAN, "lan", false, "let phones on this network reach the cloud")
			flags.BoolVar(&o.TLS, "tls", false, "https and MQTT over TLS, with an authority made for this run")
			return func(ctx context.Context, c *call) error {
				o.Keys, o.Out, o.Color = c.In, c.Out, c.style.on
				if err := prepare(&o, *owner); err != nil {
					return err
				}
				return c.play(ctx, o)
			}
		},
	}
}

// prepare checks the options and fills in what they mean.
func prepare(o *demo.Options, owner string) error {
	switch {
	case owner != "you" && owner != "script":
		return usagef("--owner is you or script, not %q", owner)
	case o.Fault != "" && (o.Fault != "deny" || owner != "script"):
		return usagef("--fault knows only deny, and needs --owner script")
	case o.Kind != "speaker" && o.Kind != "car":
		return usagef("--kind is speaker or car, not %q", o.Kind)
	}
	o.Script = owner == "script"
	if o.Bin != "" {
		return nil
	}
	self, err := os.Executable()
	o.Bin = filepath.Dir(self)
	return err
}

// play takes single keys where somebody sits at them.
func (c *call) play(ctx context.Context, o demo.Options) error {
	if o.Script || !term.IsTerminal(int(c.In.Fd())) {
		return demo.Run(ctx, o)
	}
	before, err := term.MakeRaw(int(c.In.Fd()))
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer term.Restore(int(c.In.Fd()), before)
	o.Out = carriage{c.Out}
	return demo.Run(ctx, o)
}

// carriage returns the carriage at the end of every line, which a terminal in
// raw mode does not do by itself.
type carriage struct{ io.Writer }

func (c carriage) Write(b []byte) (int, error) {
	_, err := c.Writer.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}
