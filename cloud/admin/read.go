package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	maxChanges = 1000
	maxHeld    = 64               // requests held at once; more are answered at once
	maxWait    = 20 * time.Second // below what proxies cut
	lookEvery  = 2 * time.Second  // while a request is held
)

// A deviceState is what propagation tells of a device. Times are Unix
// milliseconds and absent where there are none.
type deviceState struct {
	Device    cardea.DeviceID              `json:"device"`
	Link      cardea.LinkID                `json:"link"`
	Kind      cardea.DeviceKind            `json:"kind"`
	Model     string                       `json:"model"`
	Online    bool                         `json:"online"`
	LastSeen  cardea.Millis                `json:"last_seen,omitzero"`
	State     hub.State                    `json:"state"`
	Waiting   bool                         `json:"waiting"` // it has not confirmed the newest revision
	Revision  uint64                       `json:"revision"`
	Applied   uint64                       `json:"applied"`
	AppliedAt cardea.Millis                `json:"applied_at,omitzero"`
	StopsBy   cardea.Millis                `json:"stops_by,omitzero"`
	Stops     map[cardea.Key]cardea.Millis `json:"stops,omitempty"`
	Kept      []cardea.Kept                `json:"kept,omitempty"` // what was collected and did not leave
	Forked    bool                         `json:"forked,omitempty"`
	Lost      bool                         `json:"lost,omitempty"`
}

// propagation tells how far each device of an account has come.
func (a *api) propagation(w http.ResponseWriter, r *http.Request, _ caller) error {
	account, err := a.account(r)
	if err != nil {
		return err
	}
	devices, err := a.Devices.Devices(r.Context(), account.ID)
	if err != nil {
		return err
	}
	out := struct {
		Head    cardea.Position `json:"head"`
		Devices []deviceState   `json:"devices"`
	}{account.Head, make([]deviceState, 0, len(devices))}
	for _, d := range devices {
		out.Devices = append(out.Devices, stateOf(d))
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}

// stateOf leaves out what the owner called the device: that is theirs.
func stateOf(d hub.Device) deviceState {
	s := deviceState{
		Device: d.Device, Link: d.Link, Kind: d.Kind, Model: d.Model, Online: d.Online, Forked: d.Forked, Lost: d.Lost,
		State: d.State, Waiting: d.Applied != d.Revision, Revision: d.Revision, Applied: d.Applied,
		Kept: d.Kept, LastSeen: millis(d.LastSeen), AppliedAt: millis(d.AppliedAt), StopsBy: millis(d.StopsBy),
	}
	for key, at := range d.Stops {
		if s.Stops == nil {
			s.Stops = map[cardea.Key]cardea.Millis{}
		}
		s.Stops[key] = cardea.MillisOf(at)
	}
	return s
}

// millis keeps "never" as none.
func millis(t time.Time) cardea.Millis {
	if t.IsZero() {
		return 0
	}
	return cardea.MillisOf(t)
}

// decide answers for the brand's own servers: on them the data has left the
// device, so what may only stay there is denied. The answer is the whole
// account's; a stop on one device does not show in it.
func (a *api) decide(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := web.ReadJSON(w, r, &in); err != nil {
		return err
	}
	key, err := cardea.ParseKey(in.Key)
	if err != nil {
		return web.Errorf(http.StatusBadRequest, "invalid_key", "%v", err)
	}
	standing, now, err := a.Ledger.Standing(r.Context(), r.PathValue("subject"), key)
	if err != nil {
		return shown(err)
	}
	lease := now.Add(cardea.ClassL.MaxStaleness())
	view := cardea.NewView([]cardea.Consent{standing}, nil, now, lease)
	answer := cardea.Decide(view, cardea.Now{Time: now, Synced: true}, cardea.Query{Key: key, Use: cardea.UseEgress})
	if a.Decided != nil {
		a.Decided(answer)
	}
	version := standing.Version
	if !answer.Allowed() {
		version = 0
	}
	web.JSON(w, http.StatusOK, struct {
		Verdict cardea.Verdict `json:"verdict"`
		Reason  cardea.Reason  `json:"reason"`
		Version uint32         `json:"version,omitempty"` // of the purpose, that the yes was to
		LeftMS  int64          `json:"left_ms"`
	}{answer.Verdict, answer.Reason, version, answer.Left.Milliseconds()})
	return nil
}

// A change is one ledger entry without its value.
type change struct {
	Cursor     uint64               `json:"cursor"`
	Subject    string               `json:"subject"`
	Event      cardea.EventID       `json:"event"`
	Position   cardea.Position      `json:"position"`
	Recorded   cardea.Millis        `json:"recorded"`
	Act        cardea.Act           `json:"act"`
	Key        cardea.Key           `json:"key,omitempty"`
	Version    uint32               `json:"version,omitempty"`
	Notice     cardea.Hash          `json:"notice,omitzero"`
	Preference cardea.PreferenceKey `json:"preference,omitempty"`
	Device     cardea.DeviceID      `json:"device,omitempty"` // absent: everywhere
	Link       cardea.LinkID        `json:"link,omitzero"`
	Channel    cardea.Channel       `json:"channel"`
}

// changes reads the entries of all ledgers after a cursor. With wait it is
// held until there is one, at most that many seconds.
func (a *api) changes(w http.ResponseWriter, r *http.Request, _ caller) error {
	after, err := number(r, "after", 0, 1<<62)
	if err != nil {
		return err
	}
	limit, err := number(r, "limit", 100, maxChanges)
	if err != nil {
		return err
	}
	wait, err := number(r, "wait", 0, uint64(maxWait.Seconds()))
	if err != nil {
		return err
	}
	found, err := a.hold(r.Context(), after, int(limit), time.Duration(wait)*time.Second)
	if err != nil {
		return err
	}
	out := struct {
		Changes []change `json:"changes"`
		Next    uint64   `json:"next"` // the cursor to ask after
	}{make([]change, 0, len(found)), after}
	for _, c := range found {
		out.Next = c.Cursor
		out.Changes = append(out.Changes, changeOf(c))
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}

func changeOf(c accountdb.Change) change {
	e := c.Entry
	return change{
		Cursor: c.Cursor, Subject: c.Subject, Event: e.Event, Position: e.Position, Recorded: e.Recorded,
		Act: e.Act, Key: e.Key, Version: e.Version, Notice: e.Notice, Preference: e.Preference,
		Device: e.Scope.Device, Link: e.Link, Channel: e.Channel,
	}
}

// hold looks until there is a change, wait is over or the caller is gone.
func (a *api) hold(ctx context.Context, after uint64, limit int, wait time.Duration) (found []accountdb.Change, err error) {
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		wait = 0
	}
	over := time.After(wait)
	tick := time.NewTicker(lookEvery) // for what another node commits
	defer tick.Stop()
	for {
		grown := a.Ledger.Grown()
		found, err = a.Ledger.DB.Changes(ctx, after, limit)
		if err != nil || len(found) > 0 || wait == 0 {
			return found, err
		}
		select {
		case <-grown:
		case <-tick.C:
		case <-over:
			wait = 0 // look once more
		case <-a.Ending:
			wait = 0
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// number reads a query parameter between 0 and most.
func number(r *http.Request, name string, otherwise, most uint64) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most {
		return 0, web.Errorf(http.StatusBadRequest, "invalid_request", "%s: a number from 0 to %d", name, most)
	}
	return n, nil
}
