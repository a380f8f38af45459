// Package issuer is the server half of the device authorization grant (RFC
// 8628) and of what devices need around it: refreshing (RFC 6749, Section 6),
// the device's own token for the broker (RFC 7523), proofs of possession (RFC
// 9449), revocation by the client (RFC 7009), introspection for the brand's APIs
// (RFC 7662) and metadata (RFC 8414).
//
// It promises:
//
//   - A code gives tokens once. Of polls sent side by side one wins and the
//     others hear invalid_grant, whatever the number of connections or nodes.
//   - A lost answer strands nobody: what was redeemed last can be redeemed
//     again with the same key until the tokens it gave were used.
//   - The owner's answer reaches a waiting device at once: a poll is held for a
//     few seconds, longer if the client asks ("Prefer: wait=20"). Holding is
//     bounded for a code, an address and the process; over a bound polls are
//     answered at once, as RFC 8628 describes. A poll that finds nothing decided
//     writes nothing.
//   - Every device has a grant of its own. Revoking one leaves the others alone.
//   - Guessing user codes is slowed down for the account and the network that
//     guess; polling never is counted as guessing.
//   - Codes and tokens are stored as hashes, and no error, log or event has one.
//
// The rules of a grant are pairing.Grant's; this package speaks HTTP, waits, and
// hands the rules to the [Storage], which runs them in its transactions.
package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// Where the endpoints are, below the issuer's URL.
const (
	PathDeviceAuthorization = "/oauth/device_authorization"
	PathToken               = "/oauth/token"
	PathRevocation          = "/oauth/revoke"
	PathIntrospection       = "/oauth/introspect"
	PathJWKS                = "/oauth/jwks"
	PathVerification        = "/pair" // the owner's page, which is not answered here
	PathShort               = "/p/"   // the same, with the code as the rest of the path
)

// A Client is a kind of device software that may ask. All clients are public:
// they have no secret (RFC 6749, Section 2.1).
type Client struct {
	// ID is the client_id.
	ID string
	// RequireDPoP refuses the client's requests for tokens without a proof of
	// possession. Without it bearer tokens are given to who sends no proof.
	RequireDPoP bool
	// Scopes is what the client may ask for; asking for nothing asks for all.
	Scopes []string
}

// Config is what an issuer works with. Issuer, Clients, Storage, Tokens and
// Secret are required.
type Config struct {
	// Issuer is the base URL, such as "https://id.example.com": scheme and
	// host only. It is what clients reach, also behind a proxy.
	Issuer  string
	Clients []Client
	Storage Storage
	Tokens  Tokens

	// Secret keys the hashes of user codes and addresses. With another one
	// codes under way are lost, nothing else.
	Secret []byte

	// CodeLife is how long a code can be answered and redeemed. Zero is ten
	// minutes.
	CodeLife time.Duration

	// StartsPerAddress is how many codes one address may ask for in ten
	// minutes (IPv6: one /64). Zero is 1,000.
	StartsPerAddress int

	// ResourceServers may ask about access tokens. None: nobody may.
	ResourceServers []ResourceServer

	// Leave ends a grant that gave tokens, and all that was made of it, in one
	// durable step, when its client revokes it. Nil: there is nothing but the
	// grant.
	Leave func(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error

	// Address is where a request comes from. Nil is the connection's other
	// end, which behind a proxy is the proxy.
	Address func(*http.Request) netip.Addr

	// Decided is told of every code whose grant came to another state here, by
	// the code's hash, for issuers of the same storage in other processes, which
	// hear of it by Wake. Nil: there are none. Look is how often a held poll looks
	// whether an answer was given at another that could not tell. Zero: never.
	Decided func(code cardea.Hash)
	Look    time.Duration

	// Events is told what happened, after it was stored. Nil: nobody. It must
	// return soon.
	Events func(Event)

	// Log gets faults of the storage. Nil is silence.
	Log *slog.Logger
}

// An Event is something that happened to a grant. NoteReused is one the owner
// should hear of: somebody holds an old copy of the device's tokens and its key.
type Event struct {
	Note      pairing.Note
	Grant     pairing.GrantID
	Account   cardea.AccountID // none yet for NoteStarted and NoteDenied
	Requested cardea.Millis    // when the code was asked for
}

// NoteStarted: a device was given a code. It is an event only, and no audit's.
const NoteStarted pairing.Note = "grant_started"

// An Issuer answers devices as an http.Handler, and owners by its methods. It
// is safe for concurrent use.
type Issuer struct {
	config  Config
	clients map[string]Client
	mux     *http.ServeMux
	log     *slog.Logger
	holds   *holds
	pacer   *pacer
	guesses *guesses
	starts  *quota
}

// New checks the configuration and returns an issuer. Close it before the
// server that uses it is shut down.
func New(c Config) (*Issuer, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if c.CodeLife == 0 {
		c.CodeLife = 10 * time.Minute
	}
	if c.StartsPerAddress == 0 {
		c.StartsPerAddress = 1000
	}
	if c.Address == nil {
		c.Address = remoteAddress
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	i := &Issuer{
		config: c, clients: map[string]Client{}, log: c.Log,
		holds: newHolds(), pacer: newPacer(), guesses: newGuesses(), starts: newQuota(c.StartsPerAddress, 10*time.Minute),
	}
	for _, client := range c.Clients {
		i.clients[client.ID] = client
	}
	i.routes()
	return i, nil
}

func (c *Config) check() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || c.Issuer != u.Scheme+"://"+u.Host {
		return fmt.Errorf("the issuer %q must be like https://id.example.com, without a path or a slash at its end", c.Issuer)
	}
	if c.Storage == nil || c.Tokens == nil || len(c.Secret) < 16 {
		return errors.New("a storage, tokens and a secret of 16 bytes or more are required")
	}
	for _, client := range c.Clients {
		if client.ID == "" {
			return errors.New("a client without an id")
		}
		for _, scope := range client.Scopes {
			if !scopeToken(scope) {
				return fmt.Errorf("client %q: %q is no scope", client.ID, scope)
			}
		}
	}
	return nil
}

func remoteAddress(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr()
}

// Close answers every held poll with authorization_pending and holds no more.
// Devices poll again, at another node or after the restart.
func (i *Issuer) Close() { i.holds.close() }

// Wake has a held poll look at its code, whose grant was changed elsewhere.
func (i *Issuer) Wake(code cardea.Hash) { i.holds.wake(code) }

// Used notes that an access token of a set arrived, after which nothing older
// than the set is answered. A resource calls it when it has verified a token.
func (i *Issuer) Used(ctx context.Context, grant pairing.GrantID, set uint64) error {
	g, err := i.config.Storage.Find(ctx, pairing.GrantKey{ID: grant})
	if err != nil {
		return fmt.Errorf("note use of tokens: %w", err)
	}
	if g.Set != set || g.Predecessor.IsZero() {
		return nil // nothing to write
	}
	_, err = i.change(ctx, pairing.GrantKey{ID: grant}, cardea.AccountID{}, nil,
		func(_ cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
			g.Used(set)
			return "", nil
		})
	if err != nil {
		return fmt.Errorf("note use of tokens: %w", err)
	}
	return nil
}

// change runs f in the storage and then tells whom it concerns: the device that
// waits, and who listens for events.
func (i *Issuer) change(ctx context.Context, key pairing.GrantKey, account cardea.AccountID, proofs []pairing.ProofID,
	f func(cardea.Millis, *pairing.Grant, pairing.Owner) (pairing.Note, error)) (pairing.Grant, error) {
	var before, after pairing.Grant
	var note pairing.Note
	err := i.config.Storage.Change(ctx, key, account, proofs,
		func(now cardea.Millis, g *pairing.Grant, owner pairing.Owner) (_ pairing.Note, err error) {
			before = *g
			note, err = f(now, g, owner)
			after = *g
			return note, err
		})
	if err != nil {
		return pairing.Grant{}, err
	}
	if before.State != after.State {
		i.holds.wake(after.Code)
		if i.config.Decided != nil && !after.Code.IsZero() {
			i.config.Decided(after.Code)
		}
	}
	i.tell(note, after)
	return after, nil
}

func (i *Issuer) tell(note pairing.Note, g pairing.Grant) {
	if note != "" && i.config.Events != nil {
		i.config.Events(Event{Note: note, Grant: g.ID, Account: g.Account, Requested: g.Requested})
	}
}
