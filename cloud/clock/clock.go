// Package clock keeps a cloud from signing by a clock that can not be right.
//
// What a cloud signs says when, and what it shows its owners ("stops by") is
// reckoned from when it was written. So a process whose wall clock has moved
// against the clock of the boot by more than a second, or stands below what the
// database has recorded, signs and records nothing until they agree again
// ([Guard.Check]):
//
//   - a clock that went back agrees when it has caught up with what was signed;
//   - one that went ahead was slow before, or is wrong now. When it has stood
//     still against the boot's for ten seconds it is taken to be right, and all
//     that was reckoned by the slow one and is still open is put off by the step.
//     A step of more than a day is taken only from an operator, who restarts the
//     cloud.
//
// What the clocks showed when they last agreed stands in the database, so that a
// step while the process was down is noticed, unless the machine was as well.
package clock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// ErrClock: the clock can not be right at the moment.
var ErrClock = errors.New("the clock of this cloud can not be right")

const (
	// tolerance is how far the clocks may be apart.
	tolerance = time.Second
	// settle is how long a clock that went ahead must be steady.
	settle = 10 * time.Second
	// believable is the longest step ahead that is taken without an operator.
	believable = 24 * time.Hour
	// steady is how little it moves meanwhile.
	steady = 100 * time.Millisecond
)

// Config is what a guard works with. DB must be set.
type Config struct {
	DB *accountdb.DB

	// Wall is the clock that the database's transactions go by; by default
	// time.Now. Boot is a clock that never steps, CLOCK_BOOTTIME by default, and
	// BootID names the boot in which it counts.
	Wall   func() time.Time
	Boot   func() time.Duration
	BootID string

	// Name tells the clouds of one database apart that do not have the same clock
	// of the boot. Default: there is one.
	Name string

	// Log gets every change of mind; by default nothing is logged.
	Log *slog.Logger
}

// A mark is what both clocks showed at one moment.
type mark struct {
	BootID string        `json:"boot_id"`
	Boot   time.Duration `json:"boot"`
	Wall   cardea.Millis `json:"wall"`
}

// ahead is how far the wall clock went ahead of the boot's since m.
func (m mark) ahead(now mark) time.Duration { return now.Wall.Sub(m.Wall) - (now.Boot - m.Boot) }

// A Guard is safe for concurrent use.
type Guard struct {
	cfg Config

	mu      sync.Mutex
	agreed  mark          // zero: never in this boot
	highest cardea.Millis // recorded or signed
	step    *mark         // the clock went ahead, and is steady since
	told    error         // the last that was logged
}

// New reads when the clocks agreed last. If the wall clock went ahead since, the
// operator who restarts the cloud has confirmed it.
func New(ctx context.Context, cfg Config) (*Guard, error) {
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	if cfg.Boot == nil {
		cfg.Boot = bootTime
	}
	if cfg.BootID == "" {
		cfg.BootID = bootID()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Guard{cfg: cfg}
	if err := g.load(ctx); err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	now := g.mark(cfg.Wall())
	var err error
	switch {
	case now.Wall < g.highest:
	case g.agreed == mark{}:
		err = g.agree(ctx, now, 0)
	case g.agreed.ahead(now) > tolerance:
		err = g.agree(ctx, now, g.agreed.ahead(now))
	}
	if err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	g.tell(g.Check(cfg.Wall()))
	return g, nil
}

// metaName is the mark's name in the database. The name of one of several clouds
// follows.
const metaName = "clock"

func (g *Guard) load(ctx context.Context) error {
	return g.cfg.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
		if g.highest, err = tx.LatestRecorded(); err != nil {
			return err
		}
		text, err := tx.Meta(metaName + g.cfg.Name)
		if errors.Is(err, accountdb.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var m mark
		if json.Unmarshal(text, &m) == nil && m.BootID == g.cfg.BootID && m.BootID != "" {
			g.agreed = m
		}
		return nil
	})
}

func (g *Guard) mark(wall time.Time) mark {
	return mark{BootID: g.cfg.BootID, Boot: g.cfg.Boot(), Wall: cardea.MillisOf(wall)}
}

// Check says whether a transaction of this moment may be signed or recorded: nil,
// or an error that is ErrClock and says why not.
func (g *Guard) Check(wall time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.mark(wall)
	if err := g.judge(now); err != nil {
		return err
	}
	g.highest = max(g.highest, now.Wall)
	return nil
}

// judge compares the clocks. g.mu is held.
func (g *Guard) judge(now mark) error {
	if behind := g.highest.Sub(now.Wall); behind > tolerance {
		return fmt.Errorf("%w: it stands %v below what was recorded or signed (if it is right now, see cardea-cloud clock show)", ErrClock, behind)
	}
	if g.agreed == (mark{}) {
		return fmt.Errorf("%w: it has not been compared yet", ErrClock)
	}
	if ahead := g.agreed.ahead(now); ahead.Abs() > tolerance {
		return fmt.Errorf("%w: it moved by %v against the clock of the boot", ErrClock, ahead)
	}
	return nil
}

// Run looks at the clocks every second until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := g.Look(ctx); err != nil && ctx.Err() == nil {
				g.cfg.Log.ErrorContext(ctx, "clock not settled", "err", err)
			}
		}
	}
}

// Look compares the clocks and settles what can be settled. An error is one of
// the database.
func (g *Guard) Look(ctx context.Context) error {
	now := g.mark(g.cfg.Wall())
	step, settled := g.settled(now)
	if settled {
		if err := g.agree(ctx, now, step); err != nil {
			return err
		}
	}
	g.mu.Lock()
	err := g.judge(now)
	g.mu.Unlock()
	g.tell(err)
	return nil
}

// settled reports whether the clocks can be taken to agree from now on, and how
// far what was reckoned before must be put off.
func (g *Guard) settled(now mark) (step time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Wall < g.highest {
		g.step = nil
		return 0, false
	}
	if g.agreed == (mark{}) {
		return 0, true
	}
	ahead := g.agreed.ahead(now)
	switch {
	case ahead < -tolerance: // and it has caught up
		g.step = nil
		return 0, true
	case ahead <= tolerance, ahead > believable:
		g.step = nil
		return 0, false
	case g.step == nil || g.step.ahead(now).Abs() > steady:
		g.step = &now
		return 0, false
	}
	return ahead, now.Boot-g.step.Boot >= settle
}

// agree takes the clocks for right as they stand, and puts off what is open.
func (g *Guard) agree(ctx context.Context, now mark, step time.Duration) error {
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	err = g.cfg.DB.Update(ctx, func(tx *accountdb.Tx) error {
		if step > 0 {
			if err := tx.PutOffStops(step); err != nil {
				return err
			}
		}
		return tx.SetMeta(metaName+g.cfg.Name, text)
	})
	if err != nil {
		return err
	}
	if step > 0 {
		g.cfg.Log.WarnContext(ctx, "the clock went ahead: every open stops-by was put off", "by", step)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.agreed, g.step = now, nil
	return nil
}

// tell logs a change of mind.
func (g *Guard) tell(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if (err == nil) == (g.told == nil) {
		return
	}
	g.told = err
	if err == nil {
		g.cfg.Log.Info("the clock is right again")
		return
	}
	g.cfg.Log.Error("the clock can not be right: nothing is signed or recorded until it is; set it, and restart the cloud if it went ahead by more than a day", "err", err)
}

// bootTime reads CLOCK_BOOTTIME.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("no CLOCK_BOOTTIME: " + err.Error()) // every Linux since 2.6.39 has it
	}
	return time.Duration(ts.Nano())
}

// bootID is the kernel's random name of this boot, or empty if it has none.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
