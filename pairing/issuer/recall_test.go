package issuer_test

import (
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A restored server does not know the token, and knows the link: the key is
// enough for a new set, as often as the answer is lost. An outdated token, which
// it does know, is not.
func TestAnUnknownTokenOfALink(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	first, id := d.pair()
	link := w.link(id, d)
	recall := func(d *device, link cardea.LinkID, token pairing.Secret) answer {
		form := refreshForm(token)
		form.Set("link", link.String())
		return d.post(issuer.PathToken, form)
	}
	lost := pairing.NewSecret()
	want(t, d.refresh(lost), pairing.InvalidGrant) // without a word of the link
	recall(d, link, lost).tokens(t)                // the answer is lost
	next := recall(d, link, lost).tokens(t)
	if g := w.grant(id); g.Set != 3 || w.heard(pairing.NoteRecalled) != 2 {
		t.Errorf("%d sets, recalled %d times", g.Set, w.heard(pairing.NoteRecalled))
	}
	next = recall(d, link, next.RefreshToken).tokens(t) // it is known, and rotates
	if w.heard(pairing.NoteRecalled) != 2 {
		t.Error("recalled by a token that is known")
	}
	want(t, recall(d, link, first.RefreshToken), pairing.InvalidGrant) // outdated: a copy?
	if w.heard(pairing.NoteReused) != 1 {
		t.Error("the reuse was not told")
	}
	want(t, recall(d, cardea.NewID[cardea.LinkID](), lost), pairing.UnknownLink)

	stranger := w.keyed()
	want(t, recall(stranger, link, lost), pairing.InvalidGrant)
	if g := w.grant(id); g.WrongKeys != 1 || g.State != pairing.GrantActive {
		t.Errorf("after a stranger: %d wrong keys, %s", g.WrongKeys, g.State)
	}
	bearer := w.bearer()
	want(t, recall(bearer, link, lost), pairing.InvalidGrant)
	next = recall(d, link, next.RefreshToken).tokens(t)
	if err := w.Revoke(t.Context(), w.owner.ID, id); err != nil {
		t.Fatal(err)
	}
	want(t, recall(d, link, lost), pairing.InvalidGrant)
	want(t, recall(d, link, next.RefreshToken), pairing.InvalidGrant)
}

// A bearer proves nothing: its link opens nothing.
func TestABearersLinkRecallsNothing(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	_, id := d.pair()
	link := w.link(id, w.keyed())
	form := refreshForm(pairing.NewSecret())
	form.Set("link", link.String())
	want(t, d.post(issuer.PathToken, form), pairing.InvalidGrant)
	thief := w.keyed()
	thief.client = d.client
	want(t, thief.post(issuer.PathToken, form), pairing.InvalidGrant)
}

// link makes the link of a grant.
func (w *world) link(id pairing.GrantID, d *device) cardea.LinkID {
	w.t.Helper()
	l := accountdb.Link{
		ID: cardea.NewID[cardea.LinkID](), Account: w.owner.ID, Device: cardea.DeviceID(jose.Thumbprint(d.key.Public())), Grant: string(id),
	}
	err := w.db.Update(w.t.Context(), func(tx *accountdb.Tx) error {
		if err := tx.PutDevice(accountdb.Device{ID: l.Device, PublicKey: []byte("{}")}); err != nil {
			return err
		}
		return tx.CreateLink(l, [32]byte{}, "Hall")
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return l.ID
}
