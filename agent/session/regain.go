package session

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// regain fetches the links again that the disk has lost, one after the other,
// so that the first stays the first.
func (s *Session) regain() {
	for _, lost := range s.cfg.DB.Lost() {
		if lost.Issuer != s.cfg.Client.Issuer {
			s.log.Error("a link that was lost is another server's", "link", lost.Link, "err", ErrIssuer)
			continue
		}
		if !s.regainLink(lost) {
			return
		}
	}
}

// regainLink tries until the server has answered; false if the session ended.
func (s *Session) regainLink(lost devicedb.Lost) bool {
	for wait := minJoinPause; ; wait = min(2*wait, maxJoinPause) {
		err := s.fetchLink(s.ctx, lost)
		switch {
		case err == nil:
			s.log.Warn("a link that was lost is fetched again", "link", lost.Link)
			return true
		case s.ctx.Err() != nil:
			return false
		case errors.Is(err, errJoin) || pairing.HasCode(err, pairing.InvalidGrant):
			s.log.Error("a link that was lost can not be fetched again: pair again", "link", lost.Link, "err", err)
			s.revoked(lost.Link)
			if err := s.cfg.DB.Delete(lost.Link); err != nil {
				s.log.Error("what is left of it can not be taken away", "link", lost.Link, "err", err)
			}
			return true
		}
		s.log.Warn("a link that was lost can not be fetched yet", "link", lost.Link, "err", err)
		if !pause(s.ctx, wait/2+rand.N(wait/2)) {
			return false
		}
	}
}

// fetchLink asks for the link with the tokens that are left of it. The server
// knows it by their grant, and gives the same one again.
func (s *Session) fetchLink(ctx context.Context, lost devicedb.Lost) error {
	if err := acquire(ctx, s.renew); err != nil {
		return err
	}
	defer release(s.renew)
	t, err := s.cfg.DB.Tokens(lost.Link)
	if err != nil {
		t = lost.Tokens
	}
	begun := unknown
	if t.RefreshToken != "" {
		begun = s.cfg.Boot()
		fresh, err := s.cfg.Client.Refresh(ctx, t.RefreshToken)
		if err != nil {
			return err
		}
		if fresh.RefreshToken == "" {
			fresh.RefreshToken = t.RefreshToken
		}
		// On the disk before its first use, as ever.
		if err := s.cfg.DB.PutTokens(lost.Link, fresh); err != nil {
			return err
		}
		t = fresh
	}
	link, down, err := s.askLink(ctx, t)
	if errors.Is(err, errStale) && t.RefreshToken == "" {
		err = errJoin
	}
	if err != nil {
		return err
	}
	if (link.Key == wire.LinkKey{}) {
		link.ID = lost.Link // a plain server gives tokens and no link
	}
	if err := s.cfg.DB.Join(link, t); err != nil {
		return err
	}
	s.regained(link, lost, down)
	if s.forAudience(t, "") == nil {
		s.remember(tokenKey{link: link.ID}, t, begun)
	}
	return nil
}

// regained puts a link in force again.
func (s *Session) regained(link devicedb.Link, lost devicedb.Lost, down []byte) {
	if link.ID != lost.Link { // the server has made another one for the grant
		if err := s.cfg.DB.Delete(lost.Link); err != nil {
			s.log.Error("what is left of a link can not be taken away", "link", lost.Link, "err", err)
		}
	}
	if s.cfg.Joined != nil {
		s.cfg.Joined(link.ID, down)
	}
	s.mu.Lock()
	waiting := s.attempt != nil
	s.mu.Unlock()
	if !waiting && s.Show().State == client.PairNone {
		s.set(s.idle(""))
	}
}
