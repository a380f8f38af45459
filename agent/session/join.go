package session

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// How a join is tried again.
const (
	minJoinPause = time.Second
	maxJoinPause = time.Minute
)

// errJoin is the server's refusal to link a device it gave tokens to.
var errJoin = errors.New("the server refuses the link")

// join makes the link of an approved pairing, however long the server is away.
// The server finds the same link for the same grant, so an answer that was lost
// is asked for again. got is when the tokens came, on the boot clock.
func (s *Session) join(a *attempt, p devicedb.Pairing, got time.Duration) {
	for wait := minJoinPause; ; wait = min(2*wait, maxJoinPause) {
		link, down, err := s.joinOnce(a.ctx, &p, &got)
		if err == nil {
			err = s.cfg.DB.Join(link, *p.Tokens)
		}
		switch {
		case err == nil:
			s.joined(a, link, down, *p.Tokens, got)
			return
		case a.ctx.Err() != nil:
			return // a restart goes on with the tokens it finds
		case errors.Is(err, errJoin) || pairing.HasCode(err, pairing.InvalidGrant):
			s.log.Error("the approved pairing can not be joined", "err", err)
			s.ended(a, client.PairDenied, Denied, "the server took the approval back")
			return
		}
		s.log.Warn("join failed, trying again", "err", err)
		s.set(client.Pairing{State: client.PairApproved, Problem: problem(err)})
		pause(a.ctx, wait/2+rand.N(wait/2))
	}
}

func (s *Session) joined(a *attempt, l devicedb.Link, down []byte, t pairing.Tokens, got time.Duration) {
	if s.forAudience(t, "") == nil {
		s.remember(tokenKey{link: l.ID}, t, got)
	}
	if s.cfg.Joined != nil { // in force before anybody reads "linked"
		s.cfg.Joined(l.ID, down)
	}
	s.conclude(a, client.Pairing{State: client.PairLinked, Link: l.ID})
	s.step(Joined, l.ID)
}

// joinOnce asks for the link, with fresh tokens if the ones kept are too old.
func (s *Session) joinOnce(ctx context.Context, p *devicedb.Pairing, got *time.Duration) (devicedb.Link, []byte, error) {
	link, down, err := s.askLink(ctx, *p.Tokens)
	if !errors.Is(err, errStale) {
		return link, down, err
	}
	if p.Tokens.RefreshToken == "" {
		return link, nil, fmt.Errorf("%w: the token has expired and can not be renewed", errJoin)
	}
	begun := s.cfg.Boot()
	t, err := s.cfg.Client.Refresh(ctx, p.Tokens.RefreshToken)
	if err != nil {
		return link, nil, err
	}
	if t.RefreshToken == "" {
		t.RefreshToken = p.Tokens.RefreshToken
	}
	p.Tokens, *got = &t, begun
	// On the disk before its first use: from then on the old one is dead.
	if err := s.cfg.DB.PutPairing(*p); err != nil {
		return link, nil, fmt.Errorf("keep the tokens: %w", err)
	}
	return s.askLink(ctx, t)
}

// errStale is the server's word that an access token does not count any more.
var errStale = errors.New("the access token is not taken")

func (s *Session) askLink(ctx context.Context, t pairing.Tokens) (devicedb.Link, []byte, error) {
	issuer := s.cfg.Client.Issuer
	pub := s.public()
	body, err := json.Marshal(map[string]json.RawMessage{"public_key": jose.JWK(pub)})
	if err != nil {
		return devicedb.Link{}, nil, fmt.Errorf("write the request: %w", err)
	}
	status, answer, err := s.cfg.Client.Call(ctx, t, http.MethodPost, strings.TrimRight(issuer, "/")+"/v1/links", "application/json", body)
	if err != nil {
		return devicedb.Link{}, nil, fmt.Errorf("join: %w", err)
	}
	switch {
	case status == http.StatusOK:
		return s.pinned(parseLink(answer, issuer))
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return plainLink(issuer), nil, nil
	case status == http.StatusUnauthorized:
		return devicedb.Link{}, nil, fmt.Errorf("join: %w", errStale)
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status < http.StatusBadRequest:
		return devicedb.Link{}, nil, &pairing.Error{Status: status, Code: pairing.ServerError}
	}
	return devicedb.Link{}, nil, fmt.Errorf("%w: %w", errJoin, pairing.ParseError(status, answer))
}

// pinned refuses a link by another root than the configured one.
func (s *Session) pinned(l devicedb.Link, down []byte, err error) (devicedb.Link, []byte, error) {
	if err != nil || s.cfg.RootPin == "" {
		return l, down, err
	}
	if root, err := jose.ParseJWK(l.Root); err != nil || jose.Thumbprint(root) != s.cfg.RootPin {
		return devicedb.Link{}, nil, fmt.Errorf("%w: its root key is not the one in the configuration", errJoin)
	}
	return l, down, nil
}

// plainLink is a link to a server that gives tokens and nothing else: it says
// nothing of consent, so nothing is given.
func plainLink(issuer string) devicedb.Link {
	return devicedb.Link{ID: cardea.NewID[cardea.LinkID](), Issuer: issuer, Bar: cardea.ReasonUnknown}
}

// A linkAnswer is the answer of POST /v1/links. Binary values are unpadded
// base64url.
type linkAnswer struct {
	Link    cardea.LinkID   `json:"link"`
	LinkKey wire.LinkKey    `json:"link_key"`
	Root    json.RawMessage `json:"root"` // JWK of the key that signs key lists
	Keys    string          `json:"keys"` // the signed key list
	MQTT    struct {
		URL string `json:"url"`
	} `json:"mqtt"`
	Up   string `json:"up"`
	Name string `json:"name"`
	Down string `json:"down"` // the first statement, sealed
}

// parseLink checks the answer as far as it can be checked now: the root it names
// is pinned from here on, and must have signed the keys.
func parseLink(body []byte, issuer string) (devicedb.Link, []byte, error) {
	var a linkAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: %w", pairing.ErrMalformed, err)
	}
	root, err := jose.ParseJWK(a.Root)
	if err != nil {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: root: %w", pairing.ErrMalformed, err)
	}
	keys, err := base64.RawURLEncoding.DecodeString(a.Keys)
	if err != nil {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: keys: %w", pairing.ErrMalformed, err)
	}
	if _, err := wire.OpenKeyList(keys, root); err != nil {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: %w", pairing.ErrMalformed, err)
	}
	down, err := base64.RawURLEncoding.DecodeString(a.Down)
	if err != nil || len(down) > cardea.MaxMessageBytes {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: down", pairing.ErrMalformed)
	}
	if a.Link.IsZero() || a.LinkKey == (wire.LinkKey{}) || !address(a.Up, "https", "http") ||
		!address(a.MQTT.URL, "tls", "ssl", "mqtts", "tcp", "mqtt") {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: link, link_key, up or mqtt is missing", pairing.ErrMalformed)
	}
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(a.Up, "https:") {
		return devicedb.Link{}, nil, fmt.Errorf("%w: link: up is not https", pairing.ErrMalformed)
	}
	return devicedb.Link{
		ID: a.Link, Key: a.LinkKey, Issuer: issuer, UpURL: a.Up, BrokerURL: a.MQTT.URL,
		Name: a.Name, Root: a.Root, KeyList: keys,
	}, down, nil
}

func address(text string, schemes ...string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	return slices.Contains(schemes, u.Scheme)
}
