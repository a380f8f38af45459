package hub

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

var (
	// ErrForeignKey: the key offered is not the one the tokens are bound to.
	ErrForeignKey = errors.New("the key is not the one this pairing is bound to")
	// ErrEnded: the pairing was ended after its tokens were given.
	ErrEnded = errors.New("the pairing has ended")
)

// A Joining is a device with the first tokens of a grant, asking for its link.
type Joining struct {
	Account       cardea.AccountID
	Grant         string
	Thumbprint    string          // the key the access token is bound to
	PublicKey     json.RawMessage // JWK
	Name          string          // as the owner named the device
	Kind          cardea.DeviceKind
	Model, Serial string
}

// A Joined device has what it needs to stay in step. Binary values are
// unpadded base64url.
type Joined struct {
	Link    cardea.LinkID   `json:"link"`
	LinkKey wire.LinkKey    `json:"link_key"`
	Root    json.RawMessage `json:"root"` // JWK that signs key lists
	Keys    string          `json:"keys"` // the signed key list
	MQTT    struct {
		URL string `json:"url"`
	} `json:"mqtt"`
	Up   string `json:"up"` // where reports are taken when the broker is not there
	Name string `json:"name"`
	Down string `json:"down"` // the first statement, sealed
}

// Join makes the link of a grant, or finds the one that was made: a device whose
// answer was lost asks again.
func (h *Hub) Join(ctx context.Context, j Joining) (Joined, error) {
	pub, err := jose.ParseJWK(j.PublicKey)
	if err != nil || jose.Thumbprint(pub) != j.Thumbprint {
		return Joined{}, ErrForeignKey
	}
	var link accountdb.Link
	var first outgoing
	err = h.update(ctx, func(tx *accountdb.Tx) (err error) {
		if err := mayJoin(tx, j); err != nil {
			return err
		}
		link, err = tx.LinkByGrant(j.Grant)
		if errors.Is(err, accountdb.ErrNotFound) {
			link, err = h.createLink(tx, j)
		}
		if err == nil && link.State != accountdb.LinkLive {
			err = ErrEnded
		}
		if err != nil {
			return err
		}
		if link, err = h.current(tx, link); err != nil {
			return err
		}
		first, err = h.statement(tx, link)
		return err
	})
	if err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	h.Ledger.Announce()
	return h.joined(link, first, j.Name)
}

// mayJoin refuses a pairing that ended while its token was on its way.
func mayJoin(tx *accountdb.Tx, j Joining) error {
	account, err := tx.Account(j.Account)
	if err != nil {
		return err
	}
	grant, err := tx.FindGrant(pairing.GrantKey{ID: pairing.GrantID(j.Grant)})
	if err != nil && !errors.Is(err, pairing.ErrNoGrant) {
		return err
	}
	if account.Disabled || err == nil && grant.State != pairing.GrantActive {
		return ErrEnded
	}
	return nil
}

func (h *Hub) createLink(tx *accountdb.Tx, j Joining) (accountdb.Link, error) {
	device := cardea.DeviceID(j.Thumbprint)
	if retired, err := tx.Retired(device); err != nil || retired {
		return accountdb.Link{}, cmp.Or(err, ErrEnded)
	}
	err := tx.PutDevice(accountdb.Device{ID: device, PublicKey: j.PublicKey, Kind: j.Kind, Model: j.Model, Serial: j.Serial})
	if err != nil {
		return accountdb.Link{}, err
	}
	link := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: j.Account, Device: device, Grant: j.Grant}
	if err := tx.CreateLink(link, wire.NewLinkKey(), j.Name); err != nil {
		return link, err
	}
	_, err = tx.Append(j.Account, cardea.Entry{
		Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActLink},
		Scope:    cardea.Scope{Device: device}, By: cardea.Owner, Channel: cardea.ChannelPortal, Link: link.ID,
	})
	if err != nil {
		return link, err
	}
	return tx.Link(link.ID)
}

func (h *Hub) joined(link accountdb.Link, first outgoing, name string) (Joined, error) {
	sealed, err := h.seal(first)
	if err != nil {
		return Joined{}, err
	}
	j := Joined{
		Link: link.ID, LinkKey: first.key, Root: jose.JWK(h.Root), Up: h.UpURL, Name: name,
		Keys: base64.RawURLEncoding.EncodeToString(h.KeyList()),
		Down: base64.RawURLEncoding.EncodeToString(sealed),
	}
	j.MQTT.URL = h.BrokerURL
	return j, nil
}
