package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

// patience is how long the script waits for each step.
const patience = 15 * time.Second

// script plays the owner. It sees the picture on the device's screen, and then
// only what pages say.
func (d *demo) script(ctx context.Context, shown client.Pairing) error {
	picture, err := d.agent.QRImage(ctx, 0)
	if err != nil {
		return fmt.Errorf("photograph the code: %w", err)
	}
	link, err := qrtest.DecodePNG(picture)
	if err != nil {
		return fmt.Errorf("scan the code: %w", err)
	}
	if link != shown.Scan() {
		return fmt.Errorf("the code says %q, the screen %q", link, shown.Scan())
	}
	phone := owner.New(d.stage.Transport())
	if err := phone.Open(ctx, link); err != nil {
		return err
	}
	d.told.mark("scanned", link)
	if err := register(ctx, phone); err != nil {
		return err
	}
	if !strings.Contains(phone.Text(), shown.UserCode) {
		return fmt.Errorf("the page does not show the code to compare: %s", phone.Text())
	}
	if d.Fault == "deny" {
		return d.decline(ctx, phone)
	}
	return d.approve(ctx, phone)
}

// register makes the owner's account, as the page asks.
func register(ctx context.Context, phone *owner.Owner) error {
	if err := phone.Follow(ctx, "Create an account"); err != nil {
		return err
	}
	phone.Fill("email", "owner@example.com")
	phone.Fill("password", "a sentence nobody guesses")
	return phone.Press(ctx, "Create account", "")
}

func (d *demo) decline(ctx context.Context, phone *owner.Owner) error {
	d.told.mark("declined", "by the owner")
	if err := phone.Press(ctx, "Decline", ""); err != nil {
		return err
	}
	if err := d.until(ctx, "access_denied", ""); err != nil {
		return err
	}
	p, err := d.agent.Pairing(ctx)
	if err == nil && p.State != client.PairDenied {
		err = fmt.Errorf("the device says %q", p.State)
	}
	return err
}

func (d *demo) approve(ctx context.Context, phone *owner.Owner) error {
	d.told.mark("approved", "by the owner")
	if err := phone.Press(ctx, "Approve", ""); err != nil {
		return err
	}
	if err := d.until(ctx, "statement applied", ""); err != nil {
		return err
	}
	if err := d.allow(ctx, phone, "recommendations/use"); err != nil {
		return err
	}
	d.stop(ctx, "recommendations/use")
	if err := d.verdict(ctx, "recommendations/use", cardea.Deny); err != nil {
		return err
	}
	return d.until(ctx, "in the ledger", "deny recommendations/use")
}

// allow gives a key in the portal and waits for the device to answer yes.
func (d *demo) allow(ctx context.Context, phone *owner.Owner, key cardea.Key) error {
	if err := phone.Open(ctx, d.stage.URL+"/consents"); err != nil {
		return err
	}
	d.told.mark("changed in the portal", "allow "+string(key))
	if err := phone.Press(ctx, "Allow", recommendations); err != nil {
		return err
	}
	return d.verdict(ctx, key, cardea.Allow)
}

// recommendations is what the page calls the purpose.
const recommendations = "May we use what you play"

// verdict waits until the device's answer is the one wanted.
func (d *demo) verdict(ctx context.Context, key cardea.Key, want cardea.Verdict) error {
	end := time.Now().Add(patience)
	for {
		a, err := d.agent.Decide(ctx, key, cardea.UseCollect)
		if a.Verdict == want {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("%s is %s (%s), want %s", key, a.Verdict, a.Reason, want), err)
		}
		time.Sleep(time.Millisecond)
	}
}

// until waits for a line of the timeline.
func (d *demo) until(ctx context.Context, what, detail string) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		next := d.told.next()
		if d.told.has(what, detail) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%q did not happen within %s", what, patience)
		case <-next:
		}
	}
}
