package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea"
)

// A PromptRequest asks whether the owner may be asked for a key now, for a feature
// they have just used. Link is that of the screen, where several are linked.
type PromptRequest struct {
	Key  cardea.Key    `json:"key"`
	Link cardea.LinkID `json:"link,omitzero"`
}

// A Prompt is a question that may be asked now, once. A yes to it is a Grant with
// its Version, Link and Head, and the hash of the Notice that was shown.
type Prompt struct {
	Key     cardea.Key      `json:"key"`
	Version uint32          `json:"version"`
	Class   cardea.Class    `json:"class"`
	Reason  cardea.Reason   `json:"reason"` // why there is no yes: "not_asked", or one that has ended
	Link    cardea.LinkID   `json:"link"`
	Head    cardea.Position `json:"head"`
	// Spoken: a yes may be taken by voice. Otherwise the question needs a screen,
	// or the owner's phone.
	Spoken bool `json:"spoken"`
	// URI is the question on the owner's own pages, to be shown as a code where
	// the device has no screen for it. It says nothing about anybody.
	URI string `json:"uri"`
}

// A Notice is what the owner is to be shown before they say yes: all of it. Notice
// is its hash, which proves what was shown. Everything is in its language, data and
// recipients too; an event names a recipient as the catalogue does.
type Notice struct {
	Key        cardea.Key         `json:"key"`
	Version    uint32             `json:"version"`
	Language   string             `json:"language"`
	Notice     cardea.Hash        `json:"notice"`
	Class      cardea.Class       `json:"class"`
	Title      string             `json:"title"`
	Question   string             `json:"question"` // answered by yes or no
	What       string             `json:"what"`
	Why        string             `json:"why"`
	Benefit    string             `json:"benefit"`
	Refusal    string             `json:"refusal"` // what happens without it
	Changed    string             `json:"changed,omitempty"`
	Data       []string           `json:"data"`
	Recipients []cardea.Recipient `json:"recipients"`
	Retention  string             `json:"retention"`
	Countries  []string           `json:"countries"`
	ValidDays  int                `json:"valid_days"` // after which a yes ends
}

// Prompt asks whether the owner may be asked for a key now: an *Error "not_used",
// "asked_lately" or "no_question" if not.
func (c *Client) Prompt(ctx context.Context, req PromptRequest) (Prompt, error) {
	return send[Prompt](ctx, c, http.MethodPost, "/v1/prompt", req)
}

// Notice is what is to be shown for a key, in a language such as "de" or in the
// nearest there is. The first time it waits for the cloud.
func (c *Client) Notice(ctx context.Context, key cardea.Key, lang string) (Notice, error) {
	return get[Notice](ctx, c, "/v1/notice?key="+url.QueryEscape(string(key))+"&lang="+url.QueryEscape(lang))
}

// PromptQR is the URI of a key's question as a PNG to be scanned.
func (c *Client) PromptQR(ctx context.Context, key cardea.Key) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/prompt/qr.png?key="+url.QueryEscape(string(key)), nil)
}
