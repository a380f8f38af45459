package cloud

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Clock is for a cloud whose clock was ahead and is right again, which signs
// nothing until the latest time it has recorded. With "show" it tells out what
// that is and what would be done; with the day it is, as in 2026-11-21, it does
// it. It is refused while the cloud runs.
func Clock(ctx context.Context, c Config, day string, out io.Writer, log *slog.Logger) error {
	if _, err := time.Parse(time.DateOnly, day); err != nil && day != "show" {
		return fmt.Errorf("clock: %.40q is no day: say show, or the day it is, as in 2026-11-21", day)
	}
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := c.hasRun(); err != nil {
		return err
	}
	db, err := c.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if day == "show" {
		now, found, err := clock.Survey(ctx, db)
		if err == nil {
			err = tellFuture(out, now, found)
		}
		return err
	}
	found, err := clock.Repair(ctx, db, day)
	if err == nil {
		log.InfoContext(ctx, "what was dated in the future counts from now", "decisions", found.Decisions, "statements", found.Statements,
			"links", found.Links, "pairings", found.Grants, "signed_out", found.Sessions)
	}
	return err
}

// tellFuture says what Repair would do, for people.
func tellFuture(out io.Writer, now time.Time, f accountdb.Future) error {
	_, err := fmt.Fprintf(out, "This machine takes it to be %s UTC. If that is wrong, set its clock first.\n", now.UTC().Format("2006-01-02 15:04"))
	if err != nil {
		return err
	}
	if !f.Any() {
		_, err = fmt.Fprintln(out, "Nothing is dated later than that: there is nothing to do.")
		return err
	}
	day := now.UTC().Format(time.DateOnly)
	if f.Decisions > 0 {
		_, err = fmt.Fprintf(out, "%d decisions of %d accounts are recorded later than that, the latest at %s UTC.\n",
			f.Decisions, f.Accounts, f.Latest.Time().UTC().Format("2006-01-02 15:04"))
	}
	if err == nil {
		_, err = fmt.Fprintf(out, `"cardea-cloud clock %s" would take to have happened now, so that the cloud signs again:
  %6d decisions: how long a yes is valid counts from now. The ledgers stay as they are
  %6d statements: what a device holds stops by a time that is reckoned from now
  %6d links: when a device was seen, and said what it holds
  %6d pairings: codes shown meanwhile end, devices stay paired
  %6d sessions: their owners sign in again
Nothing that was decided is lost, and nothing is allowed or stopped by it.
`, day, f.Decisions, f.Statements, f.Links, f.Grants, f.Sessions)
	}
	return err
}
