package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/page"
)

const epoch = cardea.Millis(1_800_000_000_000)

// states are what the writer turns between: of two keys one is given.
func states() [2]gate.State {
	one := func(a, b cardea.Reason) gate.State {
		return gate.State{Revision: 1, Consents: []cardea.Consent{
			{Key: "a/use", Version: 1, Reason: a, Class: cardea.ClassA, Staleness: 3000},
			{Key: "b/use", Version: 1, Reason: b, Class: cardea.ClassA, Staleness: 3000},
		}}
	}
	return [2]gate.State{
		one(cardea.ReasonGranted, cardea.ReasonRefused),
		one(cardea.ReasonRefused, cardea.ReasonGranted),
	}
}

// write hands its page over on file 3 and publishes, each time the other state.
func write(publishes int) error {
	pages := page.NewPages()
	var g *gate.Gate
	g = gate.New(gate.Config{Changed: func() { pages.Publish(g) }})
	go pages.Run(context.Background(), gate.BootTime)
	link := cardea.NewID[cardea.LinkID]()
	g.Set(link, states()[0])
	g.Activate(link)
	g.Renew(link, gate.Anchor{Time: epoch, At: gate.BootTime(), Lease: epoch.Add(time.Hour)})
	if err := handOver(pages, g); err != nil {
		return err
	}
	mark := func(signal unix.Signal) {
		if publishes > 0 {
			unix.Tgkill(os.Getpid(), unix.Gettid(), signal)
		}
	}
	for i := 1; i != publishes+1; i++ {
		mark(unix.SIGUSR1)
		g.Set(link, states()[i&1])
		mark(unix.SIGUSR2)
	}
	return nil
}

func handOver(pages *page.Pages, g *gate.Gate) error {
	file, err := ask(pages, g)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(int(file.Fd())), nil, 0); err != nil {
		return fmt.Errorf("hand the page over: %w", err)
	}
	return nil
}

// ask waits until the pages are alive.
func ask(pages *page.Pages, g *gate.Gate) (*os.File, error) {
	for {
		file, err := pages.Of("reader", func(cardea.PurposeID) bool { return true }, g)
		if !errors.Is(err, page.ErrEnded) {
			return file, err
		}
		runtime.Gosched()
	}
}
