// Command interop plays the real programs against peers that nobody here wrote.
//
//	interop [-bin bin] [-npm internal/interop/npm] [peer...]
//
// Clients of other projects pair with the cloud, refresh, are declined, and lose
// what the owner takes away; our agent pairs with another project's identity
// provider, which knows nothing of consent; another project's MQTT clients
// connect to the broker, honest and hostile. Each peer's version is printed, and
// one line for each thing that was tried. It fails if one of them fails.
//
// The cloud speaks TLS only, by an authority that each peer is given in its own
// way. Nothing in the product knows these peers: what they need is in the standards,
// or in the configuration any operator could write.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/command"
	"github.com/cardea-id/cardea/internal/stage"
)

func main() { command.Main("interop", run) }

// A peer is somebody else's software and what is tried with it.
type peer struct {
	name string
	play func(ctx context.Context, h *house) error
}

var peers = []peer{
	{"openid-client", playOpenIDClient},
	{"oauth2", playOAuth2},
	{"oidc-agent", playOIDCAgent},
	{"oidc-provider", playProvider},
	{"mosquitto", playMosquitto},
}

// A house is where the peers play.
type house struct {
	*report
	bin, npm, dir string
	catalogue     string

	cloud *stage.Stage // with codes of ten minutes
	brief *stage.Stage // with codes of a few seconds
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("interop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "the `folder` of cardea-cloud and cardea-agent")
	npm := flags.String("npm", "internal/interop/npm", "the `folder` where npm ci was run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	h, err := open(ctx, *bin, *npm, stdout)
	if h != nil {
		defer h.close()
	}
	if err != nil {
		return err
	}
	for _, p := range chosen {
		if err := p.play(ctx, h); err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, err, h.logs())
		}
	}
	return h.sum()
}

// choose picks peers by name; none named is all.
func choose(names []string) ([]peer, error) {
	if len(names) == 0 {
		return peers, nil
	}
	var chosen []peer
	for _, name := range names {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no peer %q", name)
		}
		chosen = append(chosen, peers[i])
	}
	return chosen, nil
}

// clients is what an operator writes to let foreign clients and services in.
var clients = fmt.Sprintf(`
[[clients]]
id = "tv-app"
bearer = true

[[resource_servers]]
name = "service"
sha256 = "%x"
`, sha256.Sum256([]byte(serviceKey)))

// open starts two clouds: everything plays at the first, and what has to expire
// at the second.
func open(ctx context.Context, bin, npm string, out io.Writer) (*house, error) {
	module, err := stage.Module()
	if err != nil {
		return nil, err
	}
	h := &house{report: &report{out: out}, bin: bin, npm: npm, catalogue: filepath.Join(module, "testdata/catalogue.yaml")}
	if h.dir, err = os.MkdirTemp("", "cardea-"); err != nil {
		return nil, err
	}
	if h.cloud, err = h.start(ctx, "cloud", ""); err != nil {
		return h, err
	}
	h.brief, err = h.start(ctx, "brief", briefLife)
	return h, err
}

// briefLife is longer than the interval that clients wait before they ask first.
const briefLife = "8s"

func (h *house) start(ctx context.Context, name, life string) (*stage.Stage, error) {
	dir := filepath.Join(h.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return stage.Start(ctx, stage.Config{Bin: h.bin, Dir: dir, Catalogue: h.catalogue, Clients: clients, CodeLife: life, TLS: true})
}

func (h *house) logs() string {
	var out []string
	for _, s := range []*stage.Stage{h.cloud, h.brief} {
		if s != nil {
			out = append(out, s.Logs())
		}
	}
	return strings.Join(out, "\n")
}

func (h *house) close() {
	for _, s := range []*stage.Stage{h.cloud, h.brief} {
		if s != nil {
			s.Close()
		}
	}
	os.RemoveAll(h.dir)
}
