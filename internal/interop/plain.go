package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// A plain is our agent at a server that gives tokens and knows nothing else.
type plain struct {
	*house
	server *provider
	stage  *stage.Stage
	agent  *stage.Agent
	phone  *owner.Owner
}

// playProvider plays our agent against npm's oidc-provider.
func playProvider(ctx context.Context, h *house) error {
	v, err := h.npmVersions(ctx, "oidc-provider")
	if err != nil {
		return err
	}
	h.peer("oidc-provider", v["oidc-provider"]+" (npm), the server of our agent: device grant, DPoP with its own nonces demanded")
	p := &plain{house: h, phone: owner.New(nil)}
	if p.server, err = h.provider(ctx); err != nil {
		return err
	}
	defer func() { p.server.kill() }() // the one there is by then
	dir := filepath.Join(h.dir, "plain")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	p.stage, err = stage.Foreign(stage.Config{Bin: h.bin, Dir: dir, Scope: "openid offline_access"}, p.server.address())
	if err != nil {
		return err
	}
	defer p.stage.Close()
	if p.agent, err = p.stage.StartAgent(ctx, "speaker", "speaker"); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{p.declined, p.outage, p.works, p.quiet, p.troubled, p.ended} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, p.stage.Logs())
		}
	}
	return nil
}

// reaches waits for a state of the pairing.
func (p *plain) reaches(ctx context.Context, state string) error {
	return until(ctx, func() error {
		got, err := p.agent.Pairing(ctx)
		if err == nil && got.State != state {
			err = fmt.Errorf("the pairing is %s: %s", got.State, got.Problem)
		}
		return err
	})
}

func (p *plain) declined(ctx context.Context) error {
	shown, err := p.agent.Pair(ctx)
	if err != nil {
		return err
	}
	decline := owner.New(nil)
	if err := confirm(ctx, decline, shown.VerificationURIComplete); err != nil {
		return err
	}
	if err := decline.Press(ctx, "[ Abort ]", ""); err != nil {
		return err
	}
	p.check("the agent hears that the owner declined", "", p.reaches(ctx, client.PairDenied))
	return nil
}

// outage pairs while the server answers 503, dies, and comes back.
func (p *plain) outage(ctx context.Context) error {
	shown, err := p.agent.Pair(ctx)
	if err != nil {
		return err
	}
	if err := p.server.breakWith(ctx, http.StatusServiceUnavailable); err != nil {
		return err
	}
	before := p.server.count("POST /token", "")
	err = until(ctx, func() error {
		got, err := p.agent.Pairing(ctx)
		if err == nil && (got.State != client.PairPending || got.Problem == "") {
			err = fmt.Errorf("the pairing is %s, problem %q", got.State, got.Problem)
		}
		return err
	})
	p.check("waits while the server answers 503, and says so", fmt.Sprintf("polls: %d", p.server.count("POST /token", "")-before), err)
	p.server.kill()
	if err := p.server.start(ctx); err != nil {
		return err
	}
	if err := approve(ctx, p.phone, shown.VerificationURIComplete); err != nil {
		return err
	}
	err = p.reaches(ctx, client.PairLinked)
	p.check("and is linked after the server was killed and started again", "", err)
	return err
}

// asked are keys that firmware may ask for: a server without a catalogue knows
// none of them.
var asked = []cardea.Key{"recommendations/use", "presence/use", "voice/use", "diagnostics/third_party", "advertising/sale"}

func (p *plain) works(ctx context.Context) error {
	p.check("every purpose is denied, for every use, and it is said why", fmt.Sprintf("%d keys: %s", len(asked), cardea.ReasonUnknown), p.denies(ctx))
	first, err := p.token(ctx)
	p.check("a program has a token, bound to the device's key", first.describe(), err)
	if err != nil {
		return err
	}
	err = until(ctx, func() error {
		next, err := p.token(ctx)
		if err == nil && next.AccessToken == first.AccessToken {
			err = errors.New("it is the same token")
		}
		return err
	})
	p.check("and a fresh one when that has not long to go", "", err)
	n := p.server.count("", "use_dpop_nonce")
	if n < 2 {
		err = errors.New("the server should have demanded one before it was killed and another one after")
	}
	p.check("the server's nonces are handled, also when they change", fmt.Sprintf("demanded: %d", n), err)
	return nil
}

func (p *plain) denies(ctx context.Context) error {
	for _, key := range asked {
		for _, use := range []cardea.Use{cardea.UseCollect, cardea.UseLocal, cardea.UseEgress} {
			a, err := p.agent.Decide(ctx, key, use)
			if err != nil {
				return err
			}
			if a.Allowed() || a.Reason != cardea.ReasonUnknown {
				return fmt.Errorf("%s for %s is answered %s (%s)", key, use, a.Verdict, a.Reason)
			}
		}
	}
	return nil
}

// A described is a token and what its server says of it.
type described struct {
	client.Token
	active
}

func (d described) describe() string {
	if !d.Active {
		return ""
	}
	return fmt.Sprintf("%s, %d s, the server says: active, of %s, jkt %.8s…", d.TokenType, d.ExpiresIn, d.Subject, d.Confirm.JKT)
}

// token has an access token and asks the server about it.
func (p *plain) token(ctx context.Context) (d described, err error) {
	if d.Token, err = p.agent.Token(ctx, client.TokenRequest{Audience: p.stage.URL, MinValid: 15}); err != nil {
		return d, err
	}
	if d.active, err = p.server.introspect(ctx, d.AccessToken.Reveal()); err != nil {
		return d, err
	}
	status, err := p.agent.Status(ctx)
	if err == nil && (!d.Active || d.Subject != "anna" || d.Confirm.JKT != string(status.Device)) {
		err = fmt.Errorf("the server says: %+v", d.active)
	}
	return d, err
}

// watch is how long requests are counted.
const watch = 30 * time.Second

// quiet counts what the agent asks of a server that has nothing to say to it,
// while programs keep asking the agent.
func (p *plain) quiet(ctx context.Context) error {
	before, decisions := p.server.count("", ""), 0
	for end := time.Now().Add(watch); time.Now().Before(end); decisions++ {
		if _, err := p.agent.Decide(ctx, asked[decisions%len(asked)], cardea.UseCollect); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	n := p.server.count("", "") - before
	var err error
	if n > 3 {
		err = errors.New("which is a storm")
	}
	p.check("no storm of retries", fmt.Sprintf("%d requests in %s of %d decisions %s", n, watch, decisions, p.server.since(before)), err)
	return nil
}

// wanted is a token that counts for most of its life.
func (p *plain) wanted(ctx context.Context) error {
	_, err := p.agent.Token(ctx, client.TokenRequest{Audience: p.stage.URL, MinValid: 15})
	return err
}

// troubled breaks the server while a program wants a token again and again.
func (p *plain) troubled(ctx context.Context) error {
	if err := p.server.breakWith(ctx, http.StatusBadGateway); err != nil {
		return err
	}
	var told error
	err := until(ctx, func() error { // until the token that is kept has not enough left
		if told = p.wanted(ctx); told == nil {
			return errors.New("it was not refused")
		}
		return nil
	})
	p.check("a program that wants a token while the server answers 502 is told", fmt.Sprint(told), err)
	before, wishes := p.server.count("", ""), 0
	for end := time.Now().Add(watch); time.Now().Before(end); wishes++ {
		p.wanted(ctx) // refused, as before
		time.Sleep(10 * time.Millisecond)
	}
	n := p.server.count("", "") - before
	if err = nil; n > 10 {
		err = errors.New("which is a storm")
	}
	p.check("and makes no storm", fmt.Sprintf("%d requests in %s of %d wishes %s", n, watch, wishes, p.server.since(before)), err)
	if err := p.server.breakWith(ctx, 0); err != nil {
		return err
	}
	begun := time.Now()
	err = until(ctx, func() error { return p.wanted(ctx) })
	p.check("and has one when the server is well again", fmt.Sprintf("after %.1f s", time.Since(begun).Seconds()), err)
	return nil
}

// ended has the server take the grant back.
func (p *plain) ended(ctx context.Context) error {
	if err := p.server.do(ctx, map[string]any{"do": "end"}, nil); err != nil {
		return err
	}
	err := until(ctx, func() error {
		if p.wanted(ctx) == nil {
			return errors.New("it still has tokens")
		}
		return nil
	})
	p.check("a grant the server ended gives no more tokens", "", err)
	got, err := p.agent.Pairing(ctx)
	if err == nil && got.State != client.PairNone {
		err = fmt.Errorf("the pairing is %s", got.State)
	}
	p.check("and its link is forgotten", got.Problem, err)
	status, err := p.agent.Status(ctx)
	if err == nil && len(status.Links) != 0 {
		err = fmt.Errorf("links: %v", status.Links)
	}
	p.check("so that nothing is left of it", "", err)
	return nil
}
