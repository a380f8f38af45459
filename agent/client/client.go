package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
)

// DefaultSocket is where the agent listens if nobody says otherwise.
const DefaultSocket = "/run/cardea/agent.sock"

// Bounds of a call whose context has no deadline. Only a token and the start of
// a pairing can wait for a server.
const (
	Timeout       = 30 * time.Second
	DecideTimeout = 2 * time.Second
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// ErrNoAgent is returned when the agent does not answer: it does not run, the
// socket may not be opened, or the answer broke off.
var ErrNoAgent = errors.New("the agent does not answer")

// An Error is a refusal by the agent. Code is a stable word, Description says
// what to do about it.
type Error struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

// A Client speaks to the agent at one socket.
type Client struct {
	http *http.Client
}

// New makes a client of the agent at the socket; "" is DefaultSocket. It does
// not connect yet.
func New(socket string) *Client {
	if socket == "" {
		socket = DefaultSocket
	}
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket) },
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute, // before the agent closes it
		DisableCompression:  true,
	}
	return &Client{http: &http.Client{Transport: transport}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status is how the agent is, and what it takes the caller for.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// Pair starts a pairing, or returns the one that waits.
func (c *Client) Pair(ctx context.Context) (Pairing, error) {
	return send[Pairing](ctx, c, http.MethodPost, "/v1/pair", struct{}{})
}

// PairNewOwner erases all links and the device's key and starts the pairing of
// somebody new. If the server can not be reached nothing is erased.
func (c *Client) PairNewOwner(ctx context.Context) (Pairing, error) {
	return send[Pairing](ctx, c, http.MethodPost, "/v1/pair", PairRequest{For: ForNewOwner})
}

// Pairing shows how the pairing stands.
func (c *Client) Pairing(ctx context.Context) (Pairing, error) {
	return get[Pairing](ctx, c, "/v1/pair")
}

// ConfirmPairing says how often the device's button was pressed, once the
// pairing is in the state PairConfirm. A wrong number ends it.
func (c *Client) ConfirmPairing(ctx context.Context, presses int) (Pairing, error) {
	return send[Pairing](ctx, c, http.MethodPost, "/v1/pair/confirm", PairConfirmation{presses})
}

// CancelPairing forgets the code that waits.
func (c *Client) CancelPairing(ctx context.Context) (Pairing, error) {
	return send[Pairing](ctx, c, http.MethodDelete, "/v1/pair", nil)
}

// QRImage is the code that waits as a PNG, px pixels a side; 0 is the default.
func (c *Client) QRImage(ctx context.Context, px int) ([]byte, error) {
	path := "/v1/pair/qr.png"
	if px != 0 {
		path += "?px=" + strconv.Itoa(px)
	}
	return c.do(ctx, http.MethodGet, path, nil)
}

// QRVector is the code that waits as an SVG picture of any size.
func (c *Client) QRVector(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/pair/qr.svg", nil)
}

// Spoken is the code that waits as a voice says it, in a language of
// pairing.SpokenLanguages; "" is English.
func (c *Client) Spoken(ctx context.Context, lang string) (Spelling, error) {
	return get[Spelling](ctx, c, "/v1/pair/spoken?lang="+url.QueryEscape(lang))
}

// QRText is the code that waits for a terminal with a dark or a light ground.
func (c *Client) QRText(ctx context.Context, dark bool) (string, error) {
	text, err := c.do(ctx, http.MethodGet, "/v1/pair/qr.txt?dark="+strconv.FormatBool(dark), nil)
	return string(text), err
}

// Identity says who is here: an *Error "guest" if nobody is.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	return get[Identity](ctx, c, "/v1/identity")
}

// Token gets an access token.
func (c *Client) Token(ctx context.Context, req TokenRequest) (Token, error) {
	return send[Token](ctx, c, http.MethodPost, "/v1/token", req)
}

// Decide asks whether a key may be used so. Its answer can be relied on even if
// there is an error: it is then a denial for cardea.ReasonNoAgent.
func (c *Client) Decide(ctx context.Context, key cardea.Key, use cardea.Use) (Answer, error) {
	ctx, cancel := bounded(ctx, DecideTimeout)
	defer cancel()
	a, err := send[Answer](ctx, c, http.MethodPost, pathDecide, DecideRequest{Key: key, Use: use})
	if err != nil {
		return noAgent(cardea.Query{Key: key, Use: use}), err
	}
	return a, nil
}

// DecideAll asks several queries at once. As with Decide, there is an answer to
// each also if there is an error.
func (c *Client) DecideAll(ctx context.Context, queries ...cardea.Query) (Answers, error) {
	ctx, cancel := bounded(ctx, DecideTimeout)
	defer cancel()
	a, err := send[Answers](ctx, c, http.MethodPost, pathDecide, DecideRequest{Queries: queries})
	if err == nil && len(a.Answers) != len(queries) {
		err = fmt.Errorf("%w: %d answers to %d queries", ErrNoAgent, len(a.Answers), len(queries))
	}
	if err != nil {
		a = Answers{}
		for _, q := range queries {
			a.Answers = append(a.Answers, noAgent(q))
		}
	}
	return a, err
}

func noAgent(q cardea.Query) Answer {
	return Answer{Key: q.Key, Use: q.Use, Verdict: cardea.Deny, Reason: cardea.ReasonNoAgent}
}

// Consents are the consents the program may see.
func (c *Client) Consents(ctx context.Context) (Consents, error) {
	return get[Consents](ctx, c, "/v1/consents")
}

// Withdraw stops a key. When it returns without an error the key is denied
// here, durably.
func (c *Client) Withdraw(ctx context.Context, w Withdrawal) (Stopped, error) {
	return send[Stopped](ctx, c, http.MethodPost, "/v1/consents/withdraw", w)
}

// Allow records the owner's yes to what was shown.
func (c *Client) Allow(ctx context.Context, g Grant) (Noted, error) {
	return send[Noted](ctx, c, http.MethodPost, "/v1/consents/allow", g)
}

// Collect hands in what was collected about whoever uses the device. Without an
// error each event has its outcome; with one, send the same again.
func (c *Client) Collect(ctx context.Context, events ...Datum) (Taken, error) {
	t, err := send[Taken](ctx, c, http.MethodPost, "/v1/events", Data{Events: events})
	if err == nil && len(t.Events) != len(events) {
		err = fmt.Errorf("%w: %d outcomes of %d events", ErrNoAgent, len(t.Events), len(events))
	}
	return t, err
}

// Preferences are the preferences the program may see.
func (c *Client) Preferences(ctx context.Context) (Preferences, error) {
	return get[Preferences](ctx, c, "/v1/preferences")
}

// SetPreference sets one.
func (c *Client) SetPreference(ctx context.Context, p PreferenceChange) (Noted, error) {
	return send[Noted](ctx, c, http.MethodPut, "/v1/preferences", p)
}

// Unlink ends a link on this device at once.
func (c *Client) Unlink(ctx context.Context, id cardea.LinkID) (Unlinked, error) {
	return send[Unlinked](ctx, c, http.MethodDelete, "/v1/links/"+url.PathEscape(id.String()), nil)
}

// Links lists who is linked.
func (c *Client) Links(ctx context.Context) (Links, error) { return get[Links](ctx, c, "/v1/links") }

// Activate says who uses the device now.
func (c *Client) Activate(ctx context.Context, id cardea.LinkID) (Switched, error) {
	return send[Switched](ctx, c, http.MethodPost, "/v1/links/"+url.PathEscape(id.String())+"/activate", struct{}{})
}

// Guest says that whoever uses the device now is nobody it knows.
func (c *Client) Guest(ctx context.Context) (Switched, error) {
	return send[Switched](ctx, c, http.MethodPost, "/v1/guest", struct{}{})
}

// Reset erases everything and gives the device a new key. It needs no network;
// what the links still had to say is sent when there is one.
func (c *Client) Reset(ctx context.Context) (Reset, error) {
	return send[Reset](ctx, c, http.MethodPost, "/v1/reset", struct{}{})
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return send[T](ctx, c, http.MethodGet, path, nil)
}

func send[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var v T
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return v, fmt.Errorf("encode %s: %w", path, err)
		}
	}
	answer, err := c.do(ctx, method, path, text)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(answer, &v); err != nil {
		return *new(T), fmt.Errorf("%w: %s: %w", ErrNoAgent, path, err)
	}
	return v, nil
}

// do makes one call and reads its answer whole.
func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := bounded(ctx, Timeout)
	defer cancel()
	res, err := c.open(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	return answer, nil
}

// bounded gives ctx an end if it has none.
func bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

const pathDecide = "/v1/decide"

// onlyAsks reports whether a call changes nothing.
func onlyAsks(method, path string) bool { return method == http.MethodGet || path == pathDecide }

// open makes a call and turns a refusal into an *Error.
func (c *Client) open(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://cardea"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if onlyAsks(method, path) && errors.Is(err, io.EOF) {
		// The agent that took the connection ended without a word, at a reset or
		// an update. What only asks can be asked of the next one.
		req.Body = io.NopCloser(bytes.NewReader(body))
		res, err = c.http.Do(req)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	refusal := &Error{Status: res.StatusCode}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil || json.Unmarshal(text, refusal) != nil || refusal.Code == "" {
		return nil, fmt.Errorf("%w: status %d", ErrNoAgent, res.StatusCode)
	}
	return nil, refusal
}
