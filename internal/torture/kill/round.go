package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/internal/torture/house"
)

type killer struct {
	*house.House
	tally
	rand *rand.Rand
}

// round has something allowed, stopped, and its keeper killed.
func (k *killer) round(ctx context.Context, i int) error {
	if err := k.Allow(ctx, house.Withdrawn); err != nil {
		return err
	}
	if err := house.Until(ctx, func() error { return k.InStep(ctx) }); err != nil {
		return err
	}
	aimed := i%4 < 2 // not at any moment, but at a write that has begun
	switch {
	case i%2 == 0:
		return k.killAgent(ctx, aimed)
	case i%8 < 4:
		return k.killCloud(ctx, aimed)
	}
	return k.killCloudReported(ctx, aimed)
}

// killAgent kills the agent while a program on the device says no.
func (k *killer) killAgent(ctx context.Context, aimed bool) error {
	journal := filepath.Join(k.Agent.Dir, "state", "device.journal")
	acknowledged, err := k.strike(&k.agent, k.Agent.Process, journal, k.moment(aimed, 3*time.Millisecond, 0), func() error { return k.Withdraw(ctx) })
	if err != nil {
		return err
	}
	if err := k.Agent.Start(ctx); err != nil {
		return err
	}
	return k.after(ctx, acknowledged)
}

// killCloud kills the cloud while its owner's page says no.
func (k *killer) killCloud(ctx context.Context, aimed bool) error {
	if err := k.Phone.Open(ctx, k.URL+"/consents"); err != nil {
		return err
	}
	acknowledged, err := k.strike(&k.cloud, k.Cloud, k.stops(), k.moment(aimed, 12*time.Millisecond, 3*time.Millisecond), func() error {
		return k.Phone.Press(ctx, "Don’t allow", house.Words[house.Withdrawn])
	})
	if err != nil {
		return err
	}
	if err := k.StartCloud(ctx); err != nil {
		return err
	}
	if !acknowledged {
		return nil
	}
	k.pages++
	// The device has to hear of it first.
	if house.Until(ctx, func() error { return k.Answers(ctx, house.Withdrawn, cardea.Deny) }) != nil {
		k.lost++
	}
	return k.after(ctx, true)
}

// killCloudReported kills the cloud while the device tells it of a no. The
// device has acknowledged it to its person; the cloud does to the device, which
// then has nothing pending.
func (k *killer) killCloudReported(ctx context.Context, aimed bool) error {
	var refused error
	_, err := k.strike(&k.cloud, k.Cloud, k.stops(), k.moment(aimed, 25*time.Millisecond, 5*time.Millisecond), func() error {
		if refused = k.Withdraw(ctx); refused != nil {
			return refused
		}
		k.agent.acknowledged++
		for k.InStep(ctx) != nil {
			select {
			case <-k.Cloud.Done():
				return errKilled
			case <-time.After(100 * time.Microsecond):
			}
		}
		return nil
	})
	if err := errors.Join(err, refused); err != nil {
		return err
	}
	if err := k.StartCloud(ctx); err != nil {
		return err
	}
	return k.after(ctx, true)
}

var errKilled = errors.New("the cloud is dead and has not answered")

// after checks what must hold after the restart, at once and when the two have
// spoken with one another.
func (k *killer) after(ctx context.Context, acknowledged bool) error {
	allowed := k.allows(ctx)
	if err := house.Until(ctx, func() error { return k.InStep(ctx) }); err != nil {
		return err
	}
	if allowed = k.allows(ctx) || allowed; acknowledged && allowed {
		k.allowed++
	}
	return nil
}

func (k *killer) allows(ctx context.Context) bool {
	a, err := k.Agent.Decide(ctx, house.Withdrawn, cardea.UseCollect)
	return err == nil && a.Allowed()
}

func (k *killer) stops() string { return filepath.Join(k.Dir, "cloud", "cloud.db.stops") }

// A moment is when to kill: some time after the request, or after its write has
// begun.
type moment struct {
	aimed bool
	after time.Duration
}

// moment chooses one. An answer takes about as long as longest, of which writes
// is between the beginning of the write and the answer.
func (k *killer) moment(aimed bool, longest, writes time.Duration) moment {
	if aimed {
		longest = writes
	}
	return moment{aimed, time.Duration(k.rand.Int64N(int64(longest) + 1))}
}

// strike kills the victim at its moment while request is under way, counts, and
// reports whether the request was answered. journal is the file that is written
// first of what the request asks for, and for nothing else.
func (k *killer) strike(of *side, victim *stage.Process, journal string, at moment, request func() error) (acknowledged bool, err error) {
	before, err := os.Stat(journal)
	if err != nil {
		return false, err
	}
	written := func() bool {
		now, err := os.Stat(journal)
		return err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()))
	}
	answered := make(chan error, 1)
	go func() { answered <- request() }()
	for at.aimed && !written() && len(answered) == 0 {
		runtime.Gosched() // a timer would come too late: a write takes less than a millisecond
	}
	if at.after > 0 {
		time.Sleep(at.after)
	}
	victim.Kill()
	acknowledged = <-answered == nil
	of.kills++
	switch {
	case acknowledged:
		of.acknowledged++
	case written():
		of.inside++
	}
	return acknowledged, nil
}
