// Command kill ends the programs in the middle of what they write, as a power
// cut does to a process, and checks that nothing they had acknowledged is lost.
//
//	kill [-bin bin] [-rounds 200] [-seed 1]
//
// In each round the owner allows a purpose, and then somebody stops it while a
// program is killed: the agent, that is told so by a program on the device, or
// the cloud, that is told so by the owner's page or by the device. Half of the
// kills come at a random moment and half of them shortly after the write was
// seen to begin. What was acknowledged this program alone remembers. After the
// restart the purpose must be denied, at once and when device and cloud have
// spoken.
//
// A kill counts as inside a write if the journal that takes a denial first was
// being written, or had been, and the answer was never given. In the end the
// chain of every account is verified, and every acknowledged denial looked up in
// it. Meanwhile a second agent and a second cloud are started on the same files:
// they must not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea/internal/command"
	"github.com/cardea-id/cardea/internal/torture/house"
)

func main() { command.Main("kill", run) }

// A side is what came of the kills of one of the two programs.
type side struct {
	kills, inside, acknowledged int
}

func (s side) percent() int { return s.inside * 100 / max(s.kills, 1) }

// A tally is what came of the rounds.
type tally struct {
	agent, cloud  side
	pages         int // acknowledged by the owner's page
	lost, allowed int
	refused       int // second programs on the same files
	chains        int
}

func (t tally) String() string {
	return fmt.Sprintf("rounds=%d kills-inside-a-write: agent=%d%% cloud=%d%% acknowledged: agent=%d cloud=%d seconds-refused=%d lost=%d allowed-after-withdraw=%d chains-verified=%d",
		t.agent.kills+t.cloud.kills, t.agent.percent(), t.cloud.percent(), t.agent.acknowledged, t.cloud.acknowledged,
		t.refused, t.lost, t.allowed, t.chains)
}

// err is what makes the run a failure.
func (t tally) err() error {
	switch {
	case t.lost+t.allowed > 0:
		return errors.New("something acknowledged was lost")
	case t.agent.percent() < 20 || t.cloud.percent() < 20:
		return errors.New("less than a fifth of the kills fell inside a write: nothing was shown")
	case t.chains == 0:
		return errors.New("no chain was verified")
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("kill", flag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "the `folder` of cardea-cloud and cardea-agent")
	rounds := flags.Int("rounds", 200, "how `often` something is killed")
	seed := flags.Uint64("seed", 1, "of the moments")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := house.New(ctx, *bin)
	if h != nil {
		defer os.RemoveAll(h.Dir)
		defer h.Close()
	}
	if err != nil {
		return err
	}
	k := &killer{House: h, rand: rand.New(rand.NewPCG(*seed, 1))}
	for i := range *rounds {
		if err := k.round(ctx, i); err != nil {
			return fmt.Errorf("round %d: %w: %s", i, err, h.Logs())
		}
		if i%50 != 0 {
			continue
		}
		if err := k.seconds(ctx); err != nil {
			return err
		}
	}
	h.Cloud.Kill()
	if err = k.verify(ctx, filepath.Join(h.Dir, "cloud")); err != nil {
		return err
	}
	fmt.Fprintln(stdout, k.tally)
	return k.err()
}
