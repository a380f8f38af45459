// Package ingest takes what devices have collected and passes it on to the brand,
// once each, and only while it may be.
//
// A batch proves itself, as a report does. In one transaction every event is
// decided on by the ledger as it stands then, what is granted is stored to be
// passed on, and up to which number the queue was taken is noted. The answer says
// that number, which is the device's receipt: what comes again below it is passed
// over, whichever cloud of the database it comes to. What was not granted is named
// with its reason, and kept nowhere.
//
// What is stored waits for any cloud of the database. The one that claims an event
// decides on it once more, so that a no that was said meanwhile stops it here too.
// It leaves as a [Line], which can not be made without such a decision. It is
// forgotten when its receiver has it: the file is on the disk, or the webhook was
// answered. A cloud that dies meanwhile finishes what it claimed when it is back;
// if it is not back for long it is overtaken, and then takes out of its file what
// others have written since.
//
// When an account is erased, what waits of it is forgotten in that transaction,
// and a note that it was follows what was passed on before.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/metrics"
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
	// Node names this cloud among those of one database, always the same.
	Node string
	// Overtake is after how long another cloud's claims are taken over; 10 minutes
	// by default. The sink is given half as long at once.
	Overtake time.Duration
	// Metrics counts what becomes of events. Nil: nobody sees it.
	Metrics *metrics.Metrics
	Log     *slog.Logger
}

// A Sink takes lines.
type Sink interface {
	// Deliver returns the lines that have arrived for good; what has arrived
	// already may be among the lines and is not delivered twice. An error is why
	// others have not, or may not have.
	Deliver(ctx context.Context, lines []Line) (arrived []Line, err error)
	// Arrived names what has arrived, and was perhaps not yet forgotten.
	Arrived() []cardea.ItemID
	// TakeBack takes back what may have arrived and was passed on by another.
	TakeBack([]cardea.ItemID) error
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
func New(c Config) *Ingest {
	c.Overtake = cmp.Or(c.Overtake, overtake)
	c.Metrics = cmp.Or(c.Metrics, metrics.New())
	return &Ingest{Config: c, fresh: make(chan struct{}, 1)}
}

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
		if err != nil {
			why, answer := refusalOf(err)
			in.Metrics.BatchRefused(why)
			if why == metrics.Full {
				w.Header().Set("Retry-After", "60")
			}
			return answer
		}
		web.JSON(w, http.StatusOK, taken)
		return nil
	})
}

// refusalOf says why a batch is not taken, and how that is answered.
func refusalOf(err error) (why string, answer error) {
	switch {
	case errors.Is(err, accountdb.ErrNotFound):
		return metrics.Unknown, web.Errorf(http.StatusNotFound, "unknown_link", "no such link is known: pair again")
	case errors.Is(err, errEnded):
		return metrics.Ended, web.Errorf(http.StatusForbidden, "invalid_token", "the pairing has ended: pair again")
	case errors.Is(err, errForked):
		return metrics.Forked, web.Errorf(http.StatusForbidden, "forked", "%v", errForked)
	case errors.Is(err, errFull):
		return metrics.Full, web.Errorf(http.StatusServiceUnavailable, "temporarily_unavailable", "%v: try again later", errFull)
	case errors.Is(err, wire.ErrSignature):
		return metrics.Signature, web.Errorf(http.StatusForbidden, "signature", "the batch is not signed or sealed by this link's device")
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, wire.ErrTooBig), errors.Is(err, wire.ErrForeign), errors.Is(err, wire.ErrVersion):
		return metrics.Malformed, web.Errorf(http.StatusBadRequest, "malformed", "the batch can not be read: send the sealed bytes unchanged")
	}
	return metrics.Fault, err
}

// Take takes one sealed batch; who sent it is proven by its signature alone.
func (in *Ingest) Take(ctx context.Context, sealed []byte) (Taken, error) {
	batch, err := in.open(ctx, sealed)
	if err != nil {
		return Taken{}, fmt.Errorf("ingest: %w", err)
	}
	var taken Taken
	var kept int
	err = in.DB.Update(ctx, func(tx *accountdb.Tx) (err error) {
		taken, kept, err = in.take(tx, batch)
		return err
	})
	if err != nil {
		return Taken{}, fmt.Errorf("ingest: %w", err)
	}
	in.Metrics.Events(metrics.Taken, kept)
	for _, r := range taken.Refused {
		in.Metrics.EventRefused(metrics.Taking, r.Reason)
	}
	in.Wake()
	return taken, nil
}

// Wake has Run look at once whether something waits.
func (in *Ingest) Wake() {
	select {
	case in.fresh <- struct{}{}:
	default:
	}
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

// take also counts what is kept to be passed on.
func (in *Ingest) take(tx *accountdb.Tx, batch cardea.Batch) (taken Taken, kept int, err error) {
	link, err := in.sender(tx, batch.Link)
	if err != nil {
		return taken, 0, err
	}
	if taken.Stored, err = tx.EventQueue(link.ID, batch.Queue); err != nil {
		return taken, 0, err
	}
	leave, err := in.Ledger.Leave(tx, link)
	if err != nil {
		return taken, 0, err
	}
	for _, item := range batch.Items {
		if item.N <= taken.Stored {
			continue // it is a repetition
		}
		taken.Stored = item.N
		if _, why := leave.Of(item); why != cardea.ReasonGranted {
			taken.Refused = append(taken.Refused, Refused{item.N, why})
			continue
		}
		if err := tx.StoreEvent(link, item, cardea.NewID[cardea.DecisionID]()); err != nil {
			return taken, 0, err
		}
		kept++
	}
	return taken, kept, tx.SetEventQueue(link.ID, batch.Queue, taken.Stored)
}

// sender is the link of a batch, if anything is taken from it now.
func (in *Ingest) sender(tx *accountdb.Tx, id cardea.LinkID) (accountdb.Link, error) {
	link, err := tx.Link(id)
	if err != nil {
		return link, err
	}
	waiting, err := tx.EventsWaiting(link.Account)
	switch {
	case err != nil:
		return link, err
	case link.State != accountdb.LinkLive:
		return link, errEnded
	case link.Forked:
		return link, errForked
	case waiting >= mostWaiting:
		return link, errFull
	}
	return link, nil
}
