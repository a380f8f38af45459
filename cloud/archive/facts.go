package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// facts are what there is of an account besides its ledger, as it stood in one
// transaction.
type facts struct {
	About       about
	Account     account
	Sessions    []session
	Devices     []device
	Preferences []preference
	Events      int // that were sent and not passed on yet
}

// about says what the archive is. Head names the newest entry in it: its hash
// commits to all below.
type about struct {
	Format  string          `json:"format"`
	Version int             `json:"version"`
	Brand   string          `json:"brand"`
	Made    time.Time       `json:"made"`
	Head    cardea.Position `json:"head"`
	Missing []string        `json:"not_included"`
	// Away are the devices that were not in reach, or did not answer in time.
	Away []away `json:"out_of_reach,omitempty"`
}

// An away device may hold more than the archive says.
type away struct {
	Name string        `json:"name"`
	Link cardea.LinkID `json:"link"`
	AsOf time.Time     `json:"as_of,omitzero"` // its last report; none if it is missing
}

// missing is what an archive does not have, for machines; the page says it too.
var missing = []string{
	"secrets: passwords, keys, codes and tokens, of which only hashes or sealed values are held",
	"what was decided on a device after the report that devices.json is of",
	"what programs on a device have collected and not sent: only how much, and of what kind",
	"what devices have sent and was passed on to other systems of the brand",
}

type account struct {
	Subject   string    `json:"subject"` // the pseudonym under which devices and the brand know the owner
	Name      string    `json:"name,omitempty"`
	Email     string    `json:"email,omitempty"`
	Confirmed bool      `json:"email_confirmed,omitempty"`
	Created   time.Time `json:"created"`
	Roles     []string  `json:"roles,omitempty"` // what the owner is to the brand, on all devices
	Ways      ways      `json:"signs_in_with"`
}

type ways struct {
	Password  bool       `json:"password"`
	Passkeys  []passkey  `json:"passkeys,omitempty"`
	Elsewhere []provider `json:"elsewhere,omitempty"`
}

type passkey struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
}

type provider struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

type session struct {
	Browser string    `json:"browser,omitempty"`
	Started time.Time `json:"started"`
	Expires time.Time `json:"expires"`
}

// A device is one link. Told is all that it was last told; Reported is what it last
// said, and Holds what by that it holds.
type device struct {
	Device   cardea.DeviceID     `json:"device"`
	Link     cardea.LinkID       `json:"link"`
	Name     string              `json:"name"`
	Kind     cardea.DeviceKind   `json:"kind"`
	Model    string              `json:"model,omitempty"`
	Serial   string              `json:"serial_ends_in,omitempty"`
	State    accountdb.LinkState `json:"state"`
	Paired   time.Time           `json:"paired"`
	Missed   *time.Time          `json:"reported_lost,omitempty"`
	Told     *cardea.Body        `json:"told,omitempty"`
	Revision uint64              `json:"told_revision,omitempty"`
	Reported reported            `json:"reported"`
	Holds    *holds              `json:"holds,omitempty"` // none for one that has left
	Denied   []cardea.Key        `json:"denied_for_everyone,omitempty"`
	Doubt    bool                `json:"may_be_a_copy,omitempty"`
}

type reported struct {
	LastSeen time.Time         `json:"last_seen,omitzero"` // to the minute
	Applied  uint64            `json:"applied_revision,omitempty"`
	At       time.Time         `json:"applied_at,omitzero"`
	Clock    cardea.ClockState `json:"clock,omitempty"`
	Entries  uint64            `json:"decisions_received,omitempty"`
}

type preference struct {
	Key   cardea.PreferenceKey `json:"key"`
	Title string               `json:"title"`
	Value cardea.Value         `json:"value"` // a JSON scalar, for the whole account
}

// A decision is one entry of the ledger with the words it was made on.
type decision struct {
	Seq      uint64       `json:"seq"`
	Recorded time.Time    `json:"recorded"`
	Act      cardea.Act   `json:"act"`
	Title    string       `json:"title,omitempty"`
	Question string       `json:"question,omitempty"`
	Value    cardea.Value `json:"value,omitempty"`
	On       string       `json:"on,omitempty"` // a device it reaches alone, by name
	By       string       `json:"by,omitempty"` // the device it was said on or is about
	Read     *cardea.Text `json:"read,omitempty"`
	Terms    *terms       `json:"terms,omitempty"` // beside what was read
	Entry    cardea.Entry `json:"entry"`           // as it is chained
}

// Terms are who gets which data, where and for how long, in the words of what was
// read.
type terms struct {
	Version    uint32             `json:"version"`
	Data       []string           `json:"data"`
	Recipients []cardea.Recipient `json:"recipients"`
	Countries  []string           `json:"countries"`
	Retention  string             `json:"retention"`
	LegalBasis string             `json:"legal_basis"`
}

func termsOf(p *cardea.Purpose) *terms {
	if p == nil {
		return nil
	}
	return &terms{p.Version, p.Data, p.Recipients, p.Countries, p.Retention, p.LegalBasis}
}

func decisionOf(p ledger.Past, value cardea.Value) decision {
	return decision{
		Seq: p.Entry.Position.Seq, Recorded: p.Entry.Recorded.Time(), Act: p.Entry.Act, Title: p.Title, Question: p.Question,
		Value: value, On: p.On, By: p.By, Read: p.Text, Terms: termsOf(p.Asked), Entry: p.Entry,
	}
}

// gather reads the facts.
func (a *archive) gather(ctx context.Context) error {
	page, err := a.Ledger.Page(ctx, a.account, a.speaks.Tag())
	if err != nil {
		return err
	}
	connections, err := a.DB.Connections(ctx, a.account)
	if err != nil {
		return err
	}
	return a.DB.View(ctx, func(tx *accountdb.Tx) error {
		a.now = tx.Now.UTC()
		a.facts = facts{About: about{Format: "cardea archive", Version: Version, Brand: cmp.Or(a.Brand, "Cardea"), Made: a.now, Missing: missing}}
		for _, p := range page.Preferences {
			a.facts.Preferences = append(a.facts.Preferences, preference{p.Def.Key, p.Title, p.Value})
		}
		for _, c := range connections {
			a.facts.Account.Ways.Elsewhere = append(a.facts.Account.Ways.Elsewhere, provider{c.Provider, c.Since})
		}
		for _, read := range []func(*accountdb.Tx) error{a.readAccount, a.readSessions, a.readDevices} {
			if err := read(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *archive) readAccount(tx *accountdb.Tx) error {
	row, err := tx.Account(a.account)
	if err == nil && row.Erased {
		err = accountdb.ErrErased
	}
	if err != nil {
		return err
	}
	a.facts.About.Head = row.Head
	is := &a.facts.Account
	is.Subject, is.Roles = row.Subject, row.Roles.Names()
	if is.Name, err = tx.Name(a.account); err != nil {
		return err
	}
	if is.Created, err = tx.Created(a.account); err != nil {
		return err
	}
	is.Email, is.Confirmed, err = tx.EmailOf(a.account)
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		return err
	}
	known, err := tx.WaysOf(a.account)
	if err != nil {
		return err
	}
	is.Ways.Password = known.Password
	keys, err := tx.Passkeys(a.account)
	for _, k := range keys {
		is.Ways.Passkeys = append(is.Ways.Passkeys, passkey{k.Name, k.Created, k.Used})
	}
	return err
}

func (a *archive) readSessions(tx *accountdb.Tx) error {
	all, err := tx.Sessions(a.account)
	a.facts.Sessions = []session{}
	for _, s := range all {
		a.facts.Sessions = append(a.facts.Sessions, session{s.Browser, s.Started, s.Expires})
	}
	return err
}

func (a *archive) readDevices(tx *accountdb.Tx) error {
	links, err := tx.AllLinks(a.account)
	if err != nil {
		return err
	}
	a.facts.Devices = []device{}
	for _, link := range links {
		d, err := deviceOf(tx, link)
		if err == nil && link.State != accountdb.LinkClosed {
			d.Holds, err = a.hold(tx, link)
		}
		if err != nil {
			return fmt.Errorf("device: %w", err)
		}
		a.facts.Devices = append(a.facts.Devices, d)
		if d.Holds != nil && !d.Holds.Answered && a.Writer.Devices != nil {
			a.facts.About.Away = append(a.facts.About.Away, away{Name: d.Name, Link: d.Link, AsOf: d.Holds.AsOf})
		}
	}
	a.facts.Events, err = tx.EventsWaiting(a.account)
	return err
}

func deviceOf(tx *accountdb.Tx, link accountdb.Link) (device, error) {
	row, err := tx.Device(link.Device)
	if err != nil {
		return device{}, err
	}
	name, err := tx.LinkName(link)
	if err != nil {
		return device{}, err
	}
	d := device{
		Device: link.Device, Link: link.ID, Name: name, Kind: row.Kind, Model: row.Model, Serial: row.Serial, State: link.State,
		Paired: link.Created.Time(), Revision: link.Revision, Doubt: link.Forked,
		Reported: reported{
			LastSeen: instant(link.LastSeen), Applied: link.Have.Revision, At: instant(link.Applied), Clock: link.Clock, Entries: link.Seen.N,
		},
	}
	if link.Missed != 0 {
		d.Missed = new(link.Missed.Time())
	}
	denials, err := tx.DeviceDenials(link.Device)
	for _, denial := range denials {
		if denial.Link == link.ID {
			d.Denied = append(d.Denied, denial.Key)
		}
	}
	if err != nil || link.State == accountdb.LinkClosed || link.Revision == 0 {
		return d, err
	}
	stated, err := tx.Statement(link.ID, link.Revision)
	if err != nil {
		return d, err
	}
	told, err := wire.DecodeBody(stated.Body)
	d.Told = &told
	return d, err
}

// instant is no time at all for zero.
func instant(m cardea.Millis) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return m.Time()
}
