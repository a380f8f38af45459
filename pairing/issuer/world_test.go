package issuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const (
	base     = "https://id.example.com"
	agent    = "cardea-agent" // must send proofs
	plain    = "plain"        // may do without
	homeAddr = "203.0.113.7"
)

var home = netip.MustParseAddr(homeAddr)

// A world is an issuer over a real database and real keys.
type world struct {
	*issuer.Issuer
	t       testing.TB
	base    string
	db      *accountdb.DB
	keys    *token.Keys
	owner   accountdb.Account
	storage *counting
	send    http.RoundTripper

	mu     sync.Mutex
	events []issuer.Event
}

// counting counts what may write.
type counting struct {
	issuer.Storage
	mu     sync.Mutex
	writes int
	finds  int
	fail   error // of the next write

	standing error // what Standing fails with
}

func (c *counting) Standing(ctx context.Context, id pairing.GrantID) (pairing.Grant, pairing.Owner, error) {
	if c.standing != nil {
		return pairing.Grant{}, pairing.Owner{}, c.standing
	}
	return c.Storage.Standing(ctx, id)
}

func (c *counting) Find(ctx context.Context, key pairing.GrantKey) (pairing.Grant, error) {
	c.mu.Lock()
	c.finds++
	c.mu.Unlock()
	return c.Storage.Find(ctx, key)
}

// asked is how often a grant was read.
func (w *world) asked() int {
	w.storage.mu.Lock()
	defer w.storage.mu.Unlock()
	return w.storage.finds
}

// written is how often something was, or might have been, written.
func (w *world) written() int {
	w.storage.mu.Lock()
	defer w.storage.mu.Unlock()
	return w.storage.writes
}

func (c *counting) write() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.fail
}

func (c *counting) Start(ctx context.Context, g pairing.Grant) error {
	if err := c.write(); err != nil {
		return err
	}
	return c.Storage.Start(ctx, g)
}

func (c *counting) Change(ctx context.Context, key pairing.GrantKey, account cardea.AccountID, proofs []pairing.ProofID,
	f func(cardea.Millis, *pairing.Grant, pairing.Owner) (pairing.Note, error)) error {
	if err := c.write(); err != nil {
		return err
	}
	return c.Storage.Change(ctx, key, account, proofs, f)
}

// direct calls a handler without a network, so that time can be faked.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.RemoteAddr == "" {
		r.RemoteAddr = homeAddr + ":4000"
	}
	d.handler.ServeHTTP(w, r)
	return w.Result(), r.Context().Err()
}

func newWorld(t testing.TB, adjust ...func(*issuer.Config)) *world {
	t.Helper()
	w := worldAt(t, base, adjust...)
	w.send = direct{w}
	return w
}

// newServer is a world behind a real HTTP server.
func newServer(t testing.TB, adjust ...func(*issuer.Config)) *world {
	t.Helper()
	var w *world
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w = worldAt(t, server.URL, adjust...)
	t.Cleanup(w.Close)
	transport := server.Client().Transport.(*http.Transport)
	transport.MaxIdleConnsPerHost = 64
	w.send = transport
	return w
}

func worldAt(t testing.TB, base string, adjust ...func(*issuer.Config)) *world {
	t.Helper()
	w := &world{t: t, base: base, db: accountdbtest.Open(t)}
	var err error
	if w.keys, err = token.Open(t.Context(), base, w.db.Secrets()); err != nil {
		t.Fatal(err)
	}
	w.owner = accountdbtest.Account(t, w.db)
	w.storage = &counting{Storage: w.db.Grants()}
	c := issuer.Config{
		Issuer: base, Storage: w.storage, Tokens: w.keys, Secret: w.keys.Derive("codes"), StartsPerAddress: 1 << 20,
		Clients: []issuer.Client{
			{ID: agent, RequireDPoP: true, Scopes: []string{"consent", "profile"}},
			{ID: plain, Scopes: []string{"profile"}},
		},
		Events: func(e issuer.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
	}
	for _, f := range adjust {
		f(&c)
	}
	if w.Issuer, err = issuer.New(c); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) heard(note pairing.Note) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Note == note {
			n++
		}
	}
	return n
}

// grant reads a grant as it is stored.
func (w *world) grant(id pairing.GrantID) pairing.Grant {
	w.t.Helper()
	g, err := w.db.Grants().Find(w.t.Context(), pairing.GrantKey{ID: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// A device speaks to the issuer as a device does.
type device struct {
	*world
	client string
	key    *jose.PrivateKey // nil: a bearer
	prefer string
	addr   string
	nonce  string
}

func (w *world) bearer() *device { return &device{world: w, client: plain} }

func (w *world) keyed() *device {
	key := jose.GenerateKey()
	return &device{world: w, client: agent, key: &key}
}

// an answer is what came back for a form.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post sends a form with a proof, and again when a nonce is asked for.
func (d *device) post(path string, form url.Values) answer {
	d.t.Helper()
	a, err := d.try(d.t.Context(), path, form)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *device) try(ctx context.Context, path string, form url.Values) (answer, error) {
	form = cloneForm(form)
	if form.Get("client_id") == "" {
		form.Set("client_id", d.client)
	}
	for range 2 {
		a, err := d.once(ctx, path, form)
		if err != nil {
			return a, err
		}
		if n := a.header.Get("DPoP-Nonce"); n != "" {
			d.nonce = n
		}
		if d.key == nil || a.code() != pairing.UseDPoPNonce {
			return a, nil
		}
	}
	return answer{}, errors.New("the server wants nonce after nonce")
}

func cloneForm(form url.Values) url.Values {
	c := url.Values{}
	for name, v := range form {
		c[name] = slices.Clone(v)
	}
	return c
}

func (d *device) once(ctx context.Context, path string, form url.Values) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if d.prefer != "" {
		r.Header.Set("Prefer", d.prefer)
	}
	if d.addr != "" {
		r.RemoteAddr = d.addr
	}
	if d.key != nil {
		proof, err := jose.NewProof(d.key.Signer(), http.MethodPost, d.base+path, d.nonce, "", time.Unix(12, 0))
		if err != nil {
			return answer{}, err
		}
		r.Header.Set("DPoP", proof)
	}
	resp, err := d.send.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body}, err
}

func (a answer) failure() *pairing.Error {
	if a.status == http.StatusOK {
		return nil
	}
	return pairing.ParseError(a.status, a.body)
}

func (a answer) code() string {
	if e := a.failure(); e != nil {
		return e.Code
	}
	return ""
}

func (a answer) tokens(t testing.TB) pairing.Tokens {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("want tokens, got %d %s", a.status, a.body)
	}
	tokens, err := pairing.ParseTokens(a.body)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (d *device) start() pairing.Authorization {
	d.t.Helper()
	a := d.post(issuer.PathDeviceAuthorization, url.Values{"device_kind": {"speaker"}, "device_model": {"Hall One"}, "device_serial": {"1234"}})
	authorization, err := pairing.ParseAuthorization(a.body)
	if a.status != http.StatusOK || err != nil {
		d.t.Fatalf("start: %d %s %v", a.status, a.body, err)
	}
	return authorization
}

func pollForm(code pairing.Secret) url.Values {
	return url.Values{"grant_type": {pairing.GrantDeviceCode}, "device_code": {code.Reveal()}}
}

func refreshForm(token pairing.Secret) url.Values {
	return url.Values{"grant_type": {pairing.GrantRefreshToken}, "refresh_token": {token.Reveal()}}
}

func (d *device) poll(code pairing.Secret) answer {
	d.t.Helper()
	return d.post(issuer.PathToken, pollForm(code))
}

func (d *device) refresh(token pairing.Secret) answer {
	d.t.Helper()
	return d.post(issuer.PathToken, refreshForm(token))
}

func (w *world) approve(a pairing.Authorization) pairing.GrantID {
	w.t.Helper()
	id, err := w.Approve(w.t.Context(), w.owner.ID, pairing.UserCode(a.UserCode), "Kitchen")
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// pair does it all.
func (d *device) pair() (pairing.Tokens, pairing.GrantID) {
	d.t.Helper()
	a := d.start()
	id := d.approve(a)
	return d.poll(a.DeviceCode).tokens(d.t), id
}

func want(t testing.TB, a answer, code string) {
	t.Helper()
	if a.code() != code {
		t.Fatalf("got %d %s, want %q", a.status, a.body, code)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Fatal("an answer may be cached")
	}
	if !json.Valid(a.body) {
		t.Fatalf("not JSON: %s", a.body)
	}
}

// link gives a device a link of the owner.
func link(t testing.TB, db *accountdb.DB, owner accountdb.Account, id string) cardea.LinkID {
	t.Helper()
	l := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: owner.ID, Device: cardea.DeviceID(id), Grant: string(pairing.NewGrantID())}
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		if err := tx.PutDevice(accountdb.Device{ID: l.Device, PublicKey: []byte("{}"), Kind: "speaker"}); err != nil {
			return err
		}
		return tx.CreateLink(l, [32]byte{}, "Kitchen")
	})
	if err != nil {
		t.Fatal(err)
	}
	return l.ID
}
