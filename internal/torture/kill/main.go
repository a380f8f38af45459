// Command kill ends the programs at random moments, as a power cut does to a
// process, and checks that nothing they had acknowledged is lost.
//
//	kill [-bin bin] [-rounds 200] [-seed 1]
//
// In each round the owner allows a purpose, and then somebody stops it, on the
// device or on the owner's page, while the agent or the cloud is killed. What
// was acknowledged this program alone remembers. After the restart the purpose
// must be denied, at once and when device and cloud have spoken. It prints how
// many kills fell into a request that was not answered yet; in the end the chain
// of every account is verified.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/torture/house"
	"github.com/cardea-id/cardea/store/accountdb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(1)
	}
}

// A tally is what came of the rounds.
type tally struct {
	rounds, inside, acknowledged, lost, allowed, chains int
}

func (t tally) String() string {
	return fmt.Sprintf("rounds=%d kills-inside-a-write=%d%% acknowledged=%d lost=%d allowed-after-withdraw=%d chains-verified=%d",
		t.rounds, t.inside*100/max(t.rounds, 1), t.acknowledged, t.lost, t.allowed, t.chains)
}

// err is what makes the run a failure.
func (t tally) err() error {
	switch {
	case t.lost+t.allowed > 0:
		return errors.New("something acknowledged was lost")
	case t.inside*5 < t.rounds:
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
	k := &killer{House: h, rand: rand.New(rand.NewPCG(*seed, 1)), out: stdout}
	for round := range *rounds {
		if err := k.round(ctx, round%4 == 3); err != nil {
			return fmt.Errorf("round %d: %w: %s", round, err, h.Logs())
		}
	}
	h.Cloud.Kill()
	if k.chains, err = verify(ctx, filepath.Join(h.Dir, "cloud")); err != nil {
		return err
	}
	fmt.Fprintln(stdout, k.tally)
	return k.err()
}

type killer struct {
	*house.House
	tally
	rand *rand.Rand
	out  io.Writer
}

// round has something allowed, stopped, and its keeper killed.
func (k *killer) round(ctx context.Context, cloud bool) error {
	if err := k.Allow(ctx, house.Withdrawn); err != nil {
		return err
	}
	stop, victim := k.Withdraw, k.Agent.Process
	longest := 3 * time.Millisecond
	if cloud {
		stop, victim = func(ctx context.Context) error { return k.Phone.Press(ctx, "Don’t allow", beside) }, k.Cloud
		longest = 15 * time.Millisecond
		if err := k.Phone.Open(ctx, k.URL+"/consents"); err != nil {
			return err
		}
	}
	answered := make(chan error, 1)
	go func() { answered <- stop(ctx) }()
	time.Sleep(time.Duration(k.rand.Int64N(int64(longest))))
	inside := len(answered) == 0
	victim.Kill()
	acknowledged := <-answered == nil
	k.rounds++
	if inside {
		k.inside++
	}
	if acknowledged {
		k.acknowledged++
	}
	if cloud {
		return k.afterCloud(ctx, acknowledged)
	}
	return k.afterAgent(ctx, acknowledged)
}

// beside stands beside the buttons of what is withdrawn.
const beside = "May we use what you play"

func (k *killer) afterAgent(ctx context.Context, acknowledged bool) error {
	if err := k.Agent.Start(ctx); err != nil {
		return err
	}
	k.watch(ctx, acknowledged)
	if err := house.Until(ctx, func() error { return k.InStep(ctx) }); err != nil {
		return err
	}
	if k.watch(ctx, acknowledged) && k.Answers(ctx, house.Withdrawn, cardea.Deny) != nil {
		k.lost++
	}
	return nil
}

// watch counts a purpose that is allowed after it was withdrawn.
func (k *killer) watch(ctx context.Context, acknowledged bool) bool {
	a, err := k.Agent.Decide(ctx, house.Withdrawn, cardea.UseCollect)
	if acknowledged && err == nil && a.Allowed() {
		k.allowed++
		return true
	}
	return false
}

func (k *killer) afterCloud(ctx context.Context, acknowledged bool) error {
	if err := k.StartCloud(ctx); err != nil {
		return err
	}
	if acknowledged && house.Until(ctx, func() error { return k.Answers(ctx, house.Withdrawn, cardea.Deny) }) != nil {
		k.lost++
	}
	return nil
}

// verify checks the chain of every account against its head.
func verify(ctx context.Context, dir string) (chains int, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		return 0, err
	}
	master, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(master) != len(accountdb.Key{}) {
		return 0, fmt.Errorf("master key: %w", err)
	}
	db, err := accountdb.Open(ctx, filepath.Join(dir, "cloud.db"), accountdb.Key(master))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.View(ctx, func(tx *accountdb.Tx) error {
		accounts, err := tx.Accounts()
		if err != nil {
			return err
		}
		for _, id := range accounts {
			account, err := tx.Account(id)
			if err != nil {
				return err
			}
			entries, err := tx.Entries(id, 0)
			if err != nil {
				return err
			}
			if head, err := cardea.VerifyChain(cardea.Position{}, entries); err != nil || head != account.Head {
				return fmt.Errorf("the chain ends at %v, the head is %v: %w", head, account.Head, err)
			}
			chains++
		}
		return nil
	})
	return chains, err
}
