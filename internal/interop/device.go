package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// A device is one device, as a foreign client makes it.
type device interface {
	// start asks for a code.
	start(ctx context.Context) (shown, error)
	// poll waits for the owner's answer.
	poll(ctx context.Context) (tokens, error)
	// refresh has tokens for the refresh token of the last ones.
	refresh(ctx context.Context) (tokens, error)
	// told reports whether an error of poll or refresh tells its developer of
	// this code of RFC 6749 or RFC 8628.
	told(err error, code string) bool
	close()
}

// shown is what a device has to show its owner.
type shown struct {
	UserCode string `json:"user_code"`
	URI      string `json:"uri"` // verification_uri_complete
}

// tokens are what a client made of an answer with tokens.
type tokens struct {
	AccessToken string `json:"access_token"`
	Type        string `json:"type"`
	Scope       string `json:"scope"`
	ExpiresIn   int    `json:"expires_in"`

	Requests int `json:"requests"` // sent so far, if the client counts
	Nonces   int `json:"nonces"`   // of them refused for want of a nonce
}

func (t tokens) String() string {
	text := fmt.Sprintf("%s, scope %q, %d s", t.Type, t.Scope, t.ExpiresIn)
	if t.Requests > 0 {
		text += fmt.Sprintf("; %d requests, %d of them asked again with a nonce", t.Requests, t.Nonces)
	}
	return text
}

// A play is one kind of client and everything that is tried with it.
type play struct {
	*house
	make  func(context.Context, *stage.Stage) (device, error)
	phone *owner.Owner
	check resource
}

// everything tries what every client of the device grant has to go through.
func (h *house) everything(ctx context.Context, email string, make func(context.Context, *stage.Stage) (device, error)) error {
	p := &play{house: h, make: make}
	var err error
	if p.phone, err = register(ctx, h.cloud, email); err != nil {
		return err
	}
	if p.check, err = h.resource(ctx); err != nil {
		return err
	}
	defer p.check.kill()
	if err := p.family(ctx); err != nil {
		return err
	}
	if err := p.declined(ctx); err != nil {
		return err
	}
	return p.expired(ctx)
}

// register makes an account and signs its owner's phone in.
func register(ctx context.Context, s *stage.Stage, email string) (*owner.Owner, error) {
	phone := owner.New(s.Transport())
	if err := phone.Open(ctx, s.URL+"/register"); err != nil {
		return nil, err
	}
	phone.Fill("email", email)
	phone.Fill("password", "a sentence nobody guesses")
	return phone, phone.Press(ctx, "Create account", "")
}

// family pairs two devices of one owner, who then ends one of them.
func (p *play) family(ctx context.Context) error {
	first, err := p.make(ctx, p.cloud)
	if err != nil {
		return err
	}
	defer first.close()
	second, err := p.make(ctx, p.cloud)
	if err != nil {
		return err
	}
	defer second.close()
	if !p.pairs(ctx, "pairs", first, "The first") {
		return nil // what follows needs it
	}
	p.refreshes(ctx, "refreshes", first)
	if !p.pairs(ctx, "a second device pairs", second, "The second") {
		return nil
	}
	last := p.refreshes(ctx, "and the first refreshes as before", first)
	p.report.check("the owner finds both among the devices and unlinks the first", "", p.unlink(ctx, "The first"))
	p.refused(ctx, "whose refresh token is refused", "invalid_grant", first, first.refresh)
	p.report.check("and whose access token is not active any more for who asks", "", p.over(ctx, last))
	p.refreshes(ctx, "and the second refreshes as before", second)
	return nil
}

// pairs has the owner approve what a device shows, and reports whether it has
// tokens now.
func (p *play) pairs(ctx context.Context, what string, d device, name string) bool {
	t, err := p.approve(ctx, d, name)
	if err == nil {
		err = p.check.takes(ctx, t)
	}
	p.report.check(what, t.String(), err)
	return err == nil
}

func (p *play) approve(ctx context.Context, d device, name string) (tokens, error) {
	s, err := d.start(ctx)
	if err != nil {
		return tokens{}, err
	}
	if err := p.phone.Open(ctx, s.URI); err != nil {
		return tokens{}, err
	}
	if !strings.Contains(p.phone.Text(), s.UserCode) {
		return tokens{}, fmt.Errorf("the page does not show %s: %s", s.UserCode, p.phone.Text())
	}
	p.phone.Fill("name", name)
	if err := p.phone.Press(ctx, "Approve", ""); err != nil {
		return tokens{}, err
	}
	return d.poll(ctx)
}

func (p *play) refreshes(ctx context.Context, what string, d device) tokens {
	t, err := d.refresh(ctx)
	if err == nil {
		err = p.check.takes(ctx, t)
	}
	p.report.check(what, t.String(), err)
	return t
}

// over is an error while an access token counts.
func (p *play) over(ctx context.Context, t tokens) error {
	active, err := p.check.active(ctx, t.AccessToken)
	if err == nil && active {
		err = errors.New("it is active")
	}
	return err
}

func (p *play) unlink(ctx context.Context, name string) error {
	if err := p.phone.Open(ctx, p.cloud.URL+"/devices"); err != nil {
		return err
	}
	for _, want := range []string{"The first", "The second"} {
		if !strings.Contains(p.phone.Text(), want) {
			return fmt.Errorf("%q is not on the page: %s", want, p.phone.Text())
		}
	}
	if err := p.phone.FollowNear(ctx, "Unlink", name); err != nil {
		return err
	}
	return p.phone.Press(ctx, "Unlink", "")
}

// refused expects a client to be told a code, and prints what its developer sees.
func (p *play) refused(ctx context.Context, what, code string, d device, try func(context.Context) (tokens, error)) {
	_, err := try(ctx)
	p.report.check(what, fmt.Sprint(err), expect(err, code, d))
}

func expect(err error, code string, d device) error {
	switch {
	case err == nil:
		return errors.New("it was not refused")
	case !d.told(err, code):
		return fmt.Errorf("which does not tell %s", code)
	}
	return nil
}

func (p *play) declined(ctx context.Context) error {
	d, err := p.make(ctx, p.cloud)
	if err != nil {
		return err
	}
	defer d.close()
	s, err := d.start(ctx)
	if err == nil {
		err = p.phone.Open(ctx, s.URI)
	}
	if err == nil {
		err = p.phone.Press(ctx, "Decline", "")
	}
	if err != nil {
		return err
	}
	p.refused(ctx, "hears that the owner declined", "access_denied", d, d.poll)
	return nil
}

func (p *play) expired(ctx context.Context) error {
	d, err := p.make(ctx, p.brief)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := d.start(ctx); err != nil {
		return err
	}
	p.refused(ctx, "hears that nobody answered", "expired_token", d, d.poll)
	return nil
}
