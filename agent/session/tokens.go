package session

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

const (
	// unknown is the age of tokens from before a restart.
	unknown time.Duration = -1 << 62
	// margin is for the way to whoever checks the token.
	margin = 5 * time.Second
	// unsaid is taken for the life of a token whose server does not say.
	unsaid = time.Minute
	// brokerMargin is what must be left of the device's token at a connect.
	brokerMargin = time.Minute
)

// A tokenKey is what a token is for. The zero link is the device itself.
type tokenKey struct {
	link            cardea.LinkID
	audience, scope string
}

type cached struct {
	tokens pairing.Tokens
	end    time.Duration // on the boot clock
	life   time.Duration
}

// A flight is a fetch that any number of callers wait for.
type flight struct {
	done   chan struct{}
	tokens pairing.Tokens
	err    error
}

// Token is an access token of the link for one audience, the issuer if empty,
// that counts for minValid more, or as long as a fresh one does. ExpiresIn is
// what is left of it; there is no refresh token in it. Errors are ErrOffline, a
// *pairing.Error if the server refuses, ErrAudience, or devicedb.ErrNotFound.
func (s *Session) Token(ctx context.Context, link cardea.LinkID, audience, scope string, minValid time.Duration) (pairing.Tokens, error) {
	if audience == s.cfg.Client.Issuer {
		audience = ""
	}
	key := tokenKey{link, audience, scope}
	t, err := s.get(ctx, key, minValid+margin, func(ctx context.Context) (pairing.Tokens, error) {
		return s.ask(ctx, key)
	})
	if err != nil {
		return pairing.Tokens{}, fmt.Errorf("token: %w", err)
	}
	return t, nil
}

// TokenAge is how old the access token of a link is that the agent holds for its
// own server, and how long it counts; held is false if there is none.
func (s *Session) TokenAge(link cardea.LinkID) (age, left time.Duration, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, c := range s.cache {
		l := c.end - s.cfg.Boot()
		if key.link == link && l > left {
			age, left, held = c.life-l, l, true
		}
	}
	return age, left, held
}

// DeviceToken is the device's own token for the broker. fresh means that the
// broker refused the last one.
func (s *Session) DeviceToken(ctx context.Context, fresh bool) (pairing.Secret, error) {
	key := tokenKey{audience: pairing.AudienceMQTT}
	if fresh {
		s.mu.Lock()
		delete(s.cache, key)
		s.mu.Unlock()
	}
	t, err := s.get(ctx, key, brokerMargin, func(ctx context.Context) (pairing.Tokens, error) {
		begun := s.cfg.Boot()
		t, err := s.cfg.Client.DeviceToken(ctx)
		if err != nil {
			return t, offline(err)
		}
		s.remember(key, t, begun)
		return t, nil
	})
	if err != nil {
		return "", fmt.Errorf("device token: %w", err)
	}
	return t.AccessToken, nil
}

// get answers from the cache, or waits for the one fetch there is for the key.
// The fetch goes on when a caller gives up: others may wait for it too.
func (s *Session) get(ctx context.Context, key tokenKey, need time.Duration, fetch func(context.Context) (pairing.Tokens, error)) (pairing.Tokens, error) {
	s.mu.Lock()
	if t, ok := s.cachedLocked(key, need); ok {
		s.mu.Unlock()
		return t, nil
	}
	if s.closed {
		s.mu.Unlock()
		return pairing.Tokens{}, ErrClosed
	}
	f := s.flights[key]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		s.flights[key] = f
		s.wg.Go(func() { s.fly(key, f, fetch) })
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.tokens, f.err
	case <-ctx.Done():
		return pairing.Tokens{}, context.Cause(ctx)
	}
}

func (s *Session) fly(key tokenKey, f *flight, fetch func(context.Context) (pairing.Tokens, error)) {
	f.tokens, f.err = fetch(s.ctx)
	f.tokens.RefreshToken = ""
	s.mu.Lock()
	if s.flights[key] == f {
		delete(s.flights, key)
	}
	s.mu.Unlock()
	close(f.done)
}

// cachedLocked never asks for more than three quarters of a token's life, or a
// wish that no token meets would fetch one at every call.
func (s *Session) cachedLocked(key tokenKey, need time.Duration) (pairing.Tokens, bool) {
	c, ok := s.cache[key]
	left := c.end - s.cfg.Boot()
	if !ok || left < min(need, c.life*3/4) || left <= 0 {
		return pairing.Tokens{}, false
	}
	t := c.tokens
	t.ExpiresIn = int(left / time.Second)
	return t, true
}

// remember caches an access token that was asked for at begun.
func (s *Session) remember(key tokenKey, t pairing.Tokens, begun time.Duration) {
	if begun == unknown {
		return
	}
	life := time.Duration(t.ExpiresIn) * time.Second
	if life == 0 {
		life = unsaid
	}
	t.RefreshToken = ""
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.forgot[key.link]; ok && begun < at {
		return
	}
	s.cache[key] = cached{t, begun + life, life}
}

// refresh fetches an access token with the link's refresh token. Refreshes
// follow one another, each with the token the last one brought.
func (s *Session) refresh(ctx context.Context, key tokenKey) (pairing.Tokens, error) {
	if err := acquire(ctx, s.renew); err != nil {
		return pairing.Tokens{}, err
	}
	defer release(s.renew)
	held, err := s.held(key.link)
	if err != nil {
		return pairing.Tokens{}, err
	}
	if held.RefreshToken == "" {
		// All there is; that it has expired only its use can tell.
		held.ExpiresIn = 0
		return held, s.forAudience(held, key.audience)
	}
	begun := s.cfg.Boot()
	t, err := s.cfg.Client.RefreshLink(ctx, s.known(key.link), held.RefreshToken, key.audience, key.scope)
	if pairing.HasCode(err, pairing.InvalidGrant) {
		s.revoked(key.link)
		return t, err
	}
	if err != nil {
		return t, offline(err)
	}
	if t.RefreshToken == "" {
		t.RefreshToken = held.RefreshToken
	}
	// On the disk before the first use of what came with it: with that use the
	// server lets go of the old one. A crash before leaves the old one good.
	if err := s.cfg.DB.PutTokens(key.link, t); err != nil {
		return t, fmt.Errorf("keep the tokens: %w", err)
	}
	if err := s.forAudience(t, key.audience); err != nil {
		return t, err
	}
	s.remember(key, t, begun)
	return t, nil
}

// known is the link as its server knows it; zero for one that is not in step
// with any, whose id only this device knows.
func (s *Session) known(link cardea.LinkID) cardea.LinkID {
	l, err := s.cfg.DB.Link(link)
	if err != nil || l.Key == (wire.LinkKey{}) {
		return cardea.LinkID{}
	}
	return link
}

// held reads the link's tokens, which are for its own server only.
func (s *Session) held(link cardea.LinkID) (pairing.Tokens, error) {
	l, err := s.cfg.DB.Link(link)
	if err != nil {
		return pairing.Tokens{}, err
	}
	if l.Issuer != s.cfg.Client.Issuer {
		return pairing.Tokens{}, ErrIssuer
	}
	return s.cfg.DB.Tokens(link)
}

// forAudience refuses a token that is for another audience than the one asked
// for, or for another beside it: a program that may speak to one service must
// not get what opens another. The token came from the server itself, so reading
// it is enough. One that can not be read is taken to be for the issuer.
func (s *Session) forAudience(t pairing.Tokens, audience string) error {
	for _, a := range audiences(t.AccessToken, s.cfg.Client.Issuer) {
		if a != cmp.Or(audience, s.cfg.Client.Issuer) {
			return ErrAudience
		}
	}
	return nil
}

// audiences reads the "aud" claim (RFC 9068, Section 2.2); of a token that is
// opaque or names nobody it is the issuer.
func audiences(token pairing.Secret, issuer string) []string {
	unread := []string{issuer}
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return unread
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return unread
	}
	var claims struct {
		Audience json.RawMessage `json:"aud"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return unread
	}
	var one string
	if json.Unmarshal(claims.Audience, &one) == nil && one != "" {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(claims.Audience, &many) != nil || len(many) == 0 {
		return unread
	}
	return many
}

// Forget has the link's next token fetched anew, because what the ones so far say is
// outdated. Who waits for one already may get an outdated one; nobody after them.
func (s *Session) Forget(link cardea.LinkID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(link)
	s.forgot[link] = s.cfg.Boot()
	for key := range s.flights {
		if key.link == link {
			delete(s.flights, key)
		}
	}
}

func (s *Session) dropLocked(link cardea.LinkID) {
	for key := range s.cache {
		if key.link == link {
			delete(s.cache, key)
		}
	}
}

// revoked forgets a link whose grant the server has ended.
func (s *Session) revoked(link cardea.LinkID) {
	end := s.cfg.Revoked
	if end == nil {
		end = s.cfg.DB.Delete
	}
	if err := end(link); err != nil && !errors.Is(err, devicedb.ErrNotFound) {
		s.log.Error("the revoked link can not be taken away", "err", err)
		return
	}
	s.mu.Lock()
	s.dropLocked(link)
	delete(s.forgot, link)
	s.mu.Unlock()
	idle := s.idle("the account has ended the link: pair again")
	s.mu.Lock()
	if s.attempt == nil {
		s.setLocked(idle)
	}
	s.mu.Unlock()
	s.step(Revoked, link)
}

// offline marks what is no word of the server's.
func offline(err error) error {
	if e, ok := errors.AsType[*pairing.Error](err); ok && !e.Transient() {
		return err
	}
	return fmt.Errorf("%w: %w", ErrOffline, err)
}

func (s *Session) public() *ecdsa.PublicKey {
	return s.cfg.Client.Signer.Public().(*ecdsa.PublicKey) // New has checked it
}
