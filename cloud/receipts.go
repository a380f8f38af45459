package cloud

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/receipt"
)

// A Controller is the company that answers for what is done with owners' data.
type Controller struct {
	// Name is the one it is registered under. Default: the brand.
	Name string `toml:"name"`
	// Address is where letters reach it, in one line.
	Address string `toml:"address"`
	// Contact is where owners turn to about their data: an e-mail address or a
	// page.
	Contact string `toml:"contact"`
	// Country is the one whose law it is under, as ISO 3166-1 alpha-2. Default:
	// that of the recipient in the catalogue which is the company's own.
	Country string `toml:"country"`
	// Authority is the name of the authority that owners can complain to, such as
	// "Integritetsskyddsmyndigheten", and AuthorityContact its page or address.
	// Default: receipts name none.
	Authority        string `toml:"authority"`
	AuthorityContact string `toml:"authority_contact"`
}

func (c Controller) check() error {
	if c.Country != "" && len(c.Country) != 2 {
		return errors.New("controller: country is two letters, such as SE")
	}
	if c.Authority == "" && c.AuthorityContact != "" {
		return errors.New("controller: authority_contact is of an authority, which has no name")
	}
	return nil
}

// receipts makes the receipts of this cloud's decisions.
func (c *cloud) receipts() *receipt.Maker {
	by := c.config.Controller
	return &receipt.Maker{
		Ledger: c.ledger, Issuer: c.config.Issuer, Signer: c.keys.Statement,
		Controller: receipt.Controller{
			Name: cmp.Or(by.Name, c.config.Brand, "Cardea"), Address: by.Address, Contact: by.Contact, Country: by.Country,
			Authority: by.Authority, AuthorityContact: by.AuthorityContact,
		},
	}
}

// sendReceiptKeys answers the keys that receipts are checked with.
func (c *cloud) sendReceiptKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json") // RFC 7517, Section 8.5.2
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(c.keys.StatedJWKS()) // whoever asked is gone if this fails
}

// sendGPC says that Sec-GPC is honoured (Global Privacy Control, Section 5.1).
func sendGPC(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Write([]byte(`{"gpc": true, "lastUpdate": "2026-11-22"}` + "\n"))
}

// changed tells the pages that look at an account, those of other clouds too.
func (c *cloud) changed(account cardea.AccountID) {
	of := desk.StreamOf(account)
	c.live.Changed(of)
	if c.config.onServer() {
		c.broker.Tell(toldChanged, of[:])
	}
}

// onChanged takes up what changed tells.
func (c *cloud) onChanged(what []byte) {
	if len(what) == len(cardea.Hash{}) {
		c.live.Changed(cardea.Hash(what))
	}
}
