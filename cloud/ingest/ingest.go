// Package ingest takes what devices have collected and passes it on to the brand,
// once each, and only while it may be.
//
// A batch proves itself, as a report does. In one transaction every event is
// decided on by the ledger as it stands then, what is granted is stored to be
// passed on, and up to which number the queue was taken is noted. The answer says
// that number, which is the device's receipt: what comes again below it is passed
// over. What was not granted is named with its reason, and kept nowhere.
//
// An event is decided on once more when it is passed on, so that a no that was
// said meanwhile stops it here too. It leaves as a [Line], which can not be made
// without such a decision. It is forgotten when its receiver has it: the file is
// on the disk, or the webhook was answered.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Config is what an Ingest works with. DB, Ledger, Sink and Log must be set.
type Config struct {
	DB     *accountdb.DB
	Ledger *ledger.Ledger
	// Sink takes what is passed on.
	Sink Sink
	// Node names this cloud among those of one database: each passes on what it
	// took itself.
	Node string
	Log  *slog.Logger
}

// A Sink takes lines.
type Sink interface {
	// Deliver returns the lines that have arrived for good; what has arrived
	// already may be among the lines and is not delivered twice. An error is why
	// others have not, or may not have.
	Deliver(ctx context.Context, lines []Line) (arrived []Line, err error)
	// Arrived names what has arrived, and was perhaps not yet forgotten.
	Arrived() []cardea.ItemID
	// Settled is called when everything that arrived is forgotten.
	Settled() error
}

// An Ingest is safe for concurrent use. Run must be running for events to be
// passed on.
type Ingest struct {
	Config
	fresh chan struct{} // one slot
}

// New makes an ingest.
func New(c Config) *Ingest { return &Ingest{Config: c, fresh: make(chan struct{}, 1)} }

// mostWaiting bounds what waits to be passed on of one account.
const mostWaiting = 20_000

// mediaCOSE is the media type of a COSE message (RFC 9052, Section 10).
const mediaCOSE = "application/cose"

// A Refused event is not passed on and need not be sent again.
type Refused struct {
	N      uint64        `json:"n"`
	Reason cardea.Reason `json:"reason"`
}

// Taken is the answer to a batch.
type Taken struct {
	Stored  uint64    `json:"stored"` // up to this number the queue is taken
	Refused []Refused `json:"refused,omitempty"`
}

var (
	errFull   = errors.New("too much waits to be passed on")
	errForked = errors.New("nothing is given on this link until its owner has confirmed the device")
	errEnded  = errors.New("the link has ended")
)

// Handler answers POST /v1/ingest.
func (in *Ingest) Handler() http.Handler {
	return web.Handle(in.Log, func(w http.ResponseWriter, r *http.Request) error {
		sealed, err := web.ReadBody(w, r, mediaCOSE, cardea.MaxBatchBytes)
		if err != nil {
			return err
		}
		taken, err := in.Take(r.Context(), sealed)
		switch {
		case errors.Is(err, accountdb.ErrNotFound):
			return web.Errorf(http.StatusNotFound, "unknown_link", "no such link is known: pair again")
		case errors.Is(err, errEnded):
			return web.Errorf(http.StatusForbidden, "invalid_token", "the pairing has ended: pair again")
		case errors.Is(err, errForked):
			return web.Errorf(http.StatusForbidden, "forked", "%v", errForked)
		case errors.Is(err, errFull):
			w.Header().Set("Retry-After", "60")
			return web.Errorf(http.StatusServiceUnavailable, "temporarily_unavailable", "%v: try again later", errFull)
		case errors.Is(err, wire.ErrSignature):
			return web.Errorf(http.StatusForbidden, "signature", "the batch is not signed or sealed by this link's device")
		case errors.Is(err, wire.ErrMalformed), errors.Is(err, wire.ErrTooBig), errors.Is(err, wire.ErrForeign), errors.Is(err, wire.ErrVersion):
			return web.Errorf(http.StatusBadRequest, "malformed", "the batch can not be read: send the sealed bytes unchanged")
		case err != nil:
			return err
		}
		web.JSON(w, http.StatusOK, taken)
		return nil
	})
}

// Take takes one sealed batch; who sent it is proven by its signature alone.
func (in *Ingest) Take(ctx context.Context, sealed []byte) (Taken, error) {
	batch, err := in.open(ctx, sealed)
	if err != nil {
		return Taken{}, fmt.Errorf("ingest: %w", err)
	}
	var taken Taken
	err = in.DB.Update(ctx, func(tx *accountdb.Tx) error {
		taken, err = in.take(tx, batch)
		return err
	})
	if err != nil {
		return Taken{}, fmt.Errorf("ingest: %w", err)
	}
	select {
	case in.fresh <- struct{}{}:
	default:
	}
	return taken, nil
}

func (in *Ingest) open(ctx context.Context, sealed []byte) (b cardea.Batch, err error) {
	id, err := wire.PeekBatch(sealed)
	if err != nil {
		return b, err
	}
	var device accountdb.Device
	var key [32]byte
	err = in.DB.View(ctx, func(tx *accountdb.Tx) error {
		device, key, err = tx.Sender(id)
		return err
	})
	if err != nil {
		return b, err
	}
	pub, err := jose.ParseJWK(device.PublicKey)
	if err != nil {
		return b, err
	}
	return wire.OpenBatch(sealed, device.ID, id, key, pub)
}

func (in *Ingest) take(tx *accountdb.Tx, batch cardea.Batch) (Taken, error) {
	link, err := tx.Link(batch.Link)
	if err != nil {
		return Taken{}, err
	}
	waiting, err := tx.EventsWaiting(link.Account)
	switch {
	case err != nil:
		return Taken{}, err
	case link.State != accountdb.LinkLive:
		return Taken{}, errEnded
	case link.Forked:
		return Taken{}, errForked
	case waiting >= mostWaiting:
		return Taken{}, errFull
	}
	stored, err := tx.EventQueue(link.ID, batch.Queue)
	if err != nil {
		return Taken{}, err
	}
	taken := Taken{Stored: stored}
	for _, item := range batch.Items {
		if item.N <= stored {
			continue // it is a repetition
		}
		_, why, err := in.Ledger.Leaves(tx, link, item)
		if err == nil && why == cardea.ReasonGranted {
			err = tx.StoreEvent(link, in.Node, item, cardea.NewID[cardea.DecisionID]())
		} else if err == nil {
			taken.Refused = append(taken.Refused, Refused{item.N, why})
		}
		if err != nil {
			return Taken{}, err
		}
		taken.Stored = item.N
	}
	return taken, tx.SetEventQueue(link.ID, batch.Queue, taken.Stored)
}

// A Line is an event as the brand gets it. Subject is the pseudonym of its person.
// Decision names the cloud's decision to take it, and Consents by what each key
// was given when it was passed on.
type Line struct {
	ID         cardea.ItemID     `json:"id"`
	Decision   cardea.DecisionID `json:"decision"`
	Purpose    cardea.PurposeID  `json:"purpose"`
	Facets     []cardea.Facet    `json:"facets"`
	Subject    string            `json:"subject"`
	Device     cardea.DeviceID   `json:"device"`
	Recipient  string            `json:"recipient,omitempty"`
	Source     string            `json:"source"`
	Method     cardea.Method     `json:"method"`
	Collected  cardea.Millis     `json:"collected"`
	LegalBasis string            `json:"legal_basis"`
	Consents   []ledger.Basis    `json:"consents"`
	Data       json.RawMessage   `json:"data"`

	row   int64
	retry time.Duration
}

// decide is the decision at the moment of passing on. It is the only maker of
// lines.
func (in *Ingest) decide(tx *accountdb.Tx, e accountdb.Event) (line Line, why cardea.Reason, err error) {
	link, err := tx.Link(e.Link)
	if err != nil {
		return line, "", err
	}
	basis, why, err := in.Ledger.Leaves(tx, link, e.Item)
	if err != nil || why != cardea.ReasonGranted {
		return line, why, err
	}
	account, err := tx.Account(e.Account)
	if err != nil {
		return line, "", err
	}
	cat, _ := in.Ledger.Catalogue.Current()
	purpose, _ := cat.Purpose(e.Item.Purpose)
	line = Line{
		ID: e.Item.ID, Decision: e.Decision, Purpose: e.Item.Purpose, Subject: account.Subject, Device: link.Device,
		Recipient: e.Item.Recipient, Source: e.Item.Source, Method: e.Item.Method, Collected: e.Item.Collected,
		LegalBasis: purpose.LegalBasis, Consents: basis, Data: slices.Clone(e.Item.Data), row: e.ID,
	}
	for _, b := range basis {
		line.Facets = append(line.Facets, b.Key.Facet())
	}
	return line, why, nil
}

// told lists the reasons of what was not passed on, for the log.
func told(reasons map[cardea.Reason]int) string {
	var all []string
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		all = append(all, fmt.Sprintf("%s %d", why, reasons[why]))
	}
	return strings.Join(all, ", ")
}
