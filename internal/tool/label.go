package tool

import (
	"context"
	"crypto/ecdsa"
	"flag"
	"net/url"
	"os"
	"strings"

	"github.com/cardea-id/cardea/agent/keys"
	cardeapairing "github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/qr"
)

func labelCommand() command {
	return command{
		name: "label", args: "KEYFILE", does: "what to print on a device without a screen", local: true,
		more: "Run it in the factory, once a device: it makes the label's key where there is none.\n" +
			"Name that file as label_key in agent.toml, where a factory reset leaves it.",
		shows: []string{"cardea label /etc/cardea/label.key --issuer https://id.example.com --svg label.svg"},
		setup: func(flags *flag.FlagSet) func(context.Context, *call) error {
			issuer := flags.String("issuer", "", "the cloud's `url`")
			svg := flags.String("svg", "", "write the label, ready to print, to a `file`")
			words := flags.String("words", "Scan to add", "what the label says first, a `text`")
			return func(_ context.Context, c *call) error {
				if u, err := url.Parse(*issuer); err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" {
					return usagef("--issuer is the cloud's address, such as https://id.example.com")
				}
				return c.label(strings.TrimRight(*issuer, "/"), *svg, *words)
			}
		},
	}
}

func (c *call) label(issuer, svg, words string) error {
	key, err := keys.OpenOn(c.args[0], "") // of no machine: it may be made before the device is
	if err != nil {
		return err
	}
	label := cardeapairing.LabelOf(key.Public().(*ecdsa.PublicKey))
	address := label.Address(issuer)
	if svg != "" {
		drawing, err := qr.Label{URI: address, Lines: []string{words, string(label)}}.SVG()
		if err != nil {
			return err
		}
		if err := os.WriteFile(svg, drawing, 0o644); err != nil {
			return err
		}
	}
	c.gap()
	c.fact("label", c.style.bold(string(label)))
	c.fact("leads to", address)
	c.fact("key", c.args[0])
	c.fact("drawing", svg)
	c.gap()
	return nil
}
