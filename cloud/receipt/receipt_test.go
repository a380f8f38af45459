package receipt_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A world is one account with the shipped catalogue, whose owner has a name, an
// address and a named device.
type world struct {
	*testing.T
	ledger  *ledger.Ledger
	account cardea.AccountID
	maker   *receipt.Maker
	key     jose.PrivateKey
}

const (
	ownersName = "Ada Lovelace"
	ownersMail = "ada@example.com"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	db := accountdbtest.Open(t)
	held, err := catalogue.Open(t.Context(), db, text)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, ledger: &ledger.Ledger{DB: db, Catalogue: held}, key: jose.GenerateKey()}
	if w.account, err = db.Register(t.Context(), ownersMail, "hash"); err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.SetName(w.account, ownersName) })
	if err != nil {
		t.Fatal(err)
	}
	w.maker = &receipt.Maker{
		Ledger: w.ledger, Issuer: "https://id.example.com", Signer: w.key.Signer,
		Controller: receipt.Controller{Name: "Example AB", Address: "Storgatan 1, 111 11 Stockholm, Sweden", Contact: "privacy@example.com", Country: "SE", Authority: "Integritetsskyddsmyndigheten", AuthorityContact: "https://www.imy.se"},
	}
	return w
}

func (w *world) head() cardea.Position {
	w.Helper()
	page, err := w.ledger.Page(w.Context(), w.account, "en")
	if err != nil {
		w.Fatal(err)
	}
	return page.Head
}

// says has the owner decide on a page in English.
func (w *world) says(act cardea.Act, key cardea.Key, more ...func(*ledger.Proposal)) cardea.Entry {
	w.Helper()
	cat, _ := w.ledger.Catalogue.Current()
	purpose, _ := cat.Purpose(key.Purpose())
	p := ledger.Proposal{
		Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: act, Key: key, Base: w.head()},
		Channel:  cardea.ChannelPortal,
		Shown:    accountdb.Notice{Version: purpose.Version, Hash: purpose.Notice("en")},
	}
	if act == cardea.ActGrant {
		p.Version, p.Notice = purpose.Version, purpose.Notice("en")
	}
	for _, f := range more {
		f(&p)
	}
	e, err := w.ledger.Propose(w.Context(), w.account, p)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func (w *world) receipt(e cardea.Entry) receipt.Receipt {
	w.Helper()
	r, _, err := w.maker.Make(w.Context(), w.account, e.Position.Seq)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

const dpv = "https://w3id.org/dpv#"

// TestReceiptSaysWhatBecameOfIt: every decision there can be has its state.
func TestReceiptSaysWhatBecameOfIt(t *testing.T) {
	w := newWorld(t)
	const key = cardea.Key("recommendations/use")
	by := func(c cardea.Channel) func(*ledger.Proposal) { return func(p *ledger.Proposal) { p.Channel = c } }
	blind := func(p *ledger.Proposal) { p.Base = cardea.Position{} }
	for _, step := range []struct {
		act   cardea.Act
		how   func(*ledger.Proposal)
		state string
	}{
		{cardea.ActDeny, by(cardea.ChannelPortal), "ConsentRefused"},
		{cardea.ActGrant, by(cardea.ChannelPortal), "ConsentGiven"},
		{cardea.ActGrant, by(cardea.ChannelPortal), "RenewedConsentGiven"},
		{cardea.ActDeny, by(cardea.ChannelPortal), "ConsentWithdrawn"},
		{cardea.ActGrant, blind, "ConsentInvalidated"}, // it has not seen the no
		{cardea.ActGrant, by(cardea.ChannelPortal), "ConsentGiven"},
		{cardea.ActDeny, by(cardea.ChannelBrand), "ConsentRevoked"},
		{cardea.ActGrant, by(cardea.ChannelPortal), "ConsentGiven"},
		{cardea.ActDeny, by(cardea.ChannelGPC), "ConsentWithdrawn"},
	} {
		r := w.receipt(w.says(step.act, key, step.how))
		event := r.Record.Events[0]
		if event.State != dpv+step.state {
			t.Errorf("entry %d: %s, want %s", r.Proof.Seq, event.State, step.state)
		}
		if counts := event.Validity == "P730D"; counts != (step.act == cardea.ActGrant) {
			t.Errorf("entry %d: %s counts for %s", r.Proof.Seq, step.act, event.Validity)
		}
		if brand := event.Entity == "controller"; brand != (event.Channel == "brand") {
			t.Errorf("entry %d: said by %s through %s", r.Proof.Seq, event.Entity, event.Channel)
		}
		w.validate(r)
	}
}

// TestReceiptIsOneUnit: a yes to the use is no yes to passing on.
func TestReceiptIsOneUnit(t *testing.T) {
	w := newWorld(t)
	use, pass := w.receipt(w.says(cardea.ActGrant, "recommendations/use")), w.receipt(w.says(cardea.ActGrant, "recommendations/third_party"))
	if third := use.Record.Processing.Purposes[0].ThirdParties; len(third) > 0 {
		t.Errorf("a yes to the use names %q", third)
	}
	third := pass.Record.Processing.Purposes[0].ThirdParties
	i := slices.IndexFunc(pass.Record.Parties, func(p receipt.Party) bool { return len(third) == 1 && p.ID == third[0] })
	if i < 0 || pass.Record.Parties[i].Name != "Music service" || pass.Record.Parties[i].Role != dpv+"ThirdParty" {
		t.Errorf("a yes to passing on names %q of %+v", third, pass.Record.Parties)
	}
	if use.Record.RecordID == pass.Record.RecordID || use.ReceiptID == pass.ReceiptID {
		t.Error("two units share a record or a receipt")
	}
	again := w.receipt(w.says(cardea.ActDeny, "recommendations/use"))
	if again.Record.RecordID != use.Record.RecordID || again.ReceiptID == use.ReceiptID {
		t.Error("a second decision on one unit is not the next receipt of one record")
	}
	if s := w.receipt(w.says(cardea.ActGrant, "voice_history/sensitive")).Record; s.Events[0].Type != dpv+"ExplicitlyExpressedConsent" {
		t.Errorf("a yes to what is sensitive is of type %s", s.Events[0].Type)
	}
	onDevice := w.receipt(w.says(cardea.ActGrant, "on_device_personalisation/use")).Record.Processing.Purposes[0]
	if !slices.Equal(onDevice.StorageLocations, []string{dpv + "WithinDevice"}) {
		t.Errorf("what never leaves the device is stored in %q", onDevice.StorageLocations)
	}
}

// TestReceiptInTheLanguageRead: what was read in German stands there in German, all
// of it, and beside each name the one it has in the catalogue.
func TestReceiptInTheLanguageRead(t *testing.T) {
	w := newWorld(t)
	r := w.receipt(w.says(cardea.ActGrant, "recommendations/third_party", func(p *ledger.Proposal) {
		cat, _ := w.ledger.Catalogue.Current()
		purpose, _ := cat.Purpose(p.Key.Purpose())
		p.Notice = purpose.Notice("de")
	}))
	w.validate(r)
	asked := r.Record.Processing.Purposes[0]
	if r.Record.Processing.Language != "de" || asked.RetentionPeriod != "12 Monate" || asked.LawfulBasis != "Einwilligung" || asked.Title != "Empfehlungen" {
		t.Errorf("in %s: %+v", r.Record.Processing.Language, asked)
	}
	if d := asked.Information[1]; d.Type != "wann" || d.ID != "when" || d.Concept != "https://w3id.org/dpv/pd#ServiceConsumptionBehavior" {
		t.Errorf("data %+v", d)
	}
	if p := r.Record.Parties[2]; p.Name != "Musikdienst" || p.Named != "Music service" {
		t.Errorf("party %+v", p)
	}
	english := w.receipt(w.says(cardea.ActDeny, "recommendations/third_party")).Record
	if p := english.Parties[2]; p.Name != "Music service" || p.Named != "" {
		t.Errorf("in English: %+v", p)
	}
}

// TestReceiptSaysWhereToTurn: to the owner's own page for a copy and erasing, and to
// the authority, which is one of the parties.
func TestReceiptSaysWhereToTurn(t *testing.T) {
	w := newWorld(t)
	r := w.receipt(w.says(cardea.ActGrant, "recommendations/use"))
	asked := r.Record.Processing.Purposes[0]
	i := slices.IndexFunc(r.Record.Parties, func(p receipt.Party) bool { return p.ID == asked.Authority })
	if i < 0 || r.Record.Parties[i].Name != "Integritetsskyddsmyndigheten" || r.Record.Parties[i].Role != dpv+"DataProtectionAuthority" {
		t.Errorf("authority %q of %+v", asked.Authority, r.Record.Parties)
	}
	if asked.PrivacyRights != "https://id.example.com/leaving" || asked.WithdrawalMethod != "https://id.example.com/consents" {
		t.Errorf("rights at %s, withdrawal at %s", asked.PrivacyRights, asked.WithdrawalMethod)
	}
}

// TestReceiptOfSpecialData: what the catalogue calls special says so.
func TestReceiptOfSpecialData(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(string(text), `dpv: "pd:VoiceCommunicationRecording"}`, `dpv: "pd:VoiceCommunicationRecording", special: true}`, 1)
	if err := w.ledger.Catalogue.Put(t.Context(), w.ledger.DB, []byte(next), "brand test"); err != nil {
		t.Fatal(err)
	}
	r := w.receipt(w.says(cardea.ActGrant, "voice_history/sensitive"))
	w.validate(r)
	if data := r.Record.Processing.Purposes[0].Information; !data[0].Special || data[1].Special || !data[0].Sensitive {
		t.Errorf("%+v", data)
	}
}

// TestReceiptNamesAllThree: the account, the device and the controller, each by an
// identity of its own.
func TestReceiptNamesAllThree(t *testing.T) {
	w := newWorld(t)
	device := cardea.DeviceID(jose.Thumbprint(jose.GenerateKey().Public()))
	r := w.receipt(w.says(cardea.ActDeny, "recommendations/use", func(p *ledger.Proposal) { p.Scope.Device = device }))
	event := r.Record.Events[0]
	if event.Device != string(device) || event.Entity != r.Record.PrincipalID || r.Record.PrincipalID == "" {
		t.Errorf("%q decided for %q, want %q", event.Entity, event.Device, device)
	}
	controller := r.Record.Parties[0]
	if controller.Name != "Example AB" || r.Record.Processing.Purposes[0].Controllers[0] != controller.ID {
		t.Errorf("the controller is %+v", controller)
	}
	header, _, _ := strings.Cut(r.JWS, ".")
	signed, err := base64.RawURLEncoding.DecodeString(header)
	if kid := jose.Thumbprint(w.key.Public()); err != nil || !strings.Contains(string(signed), kid) || kid == string(device) {
		t.Errorf("signed by %s, %v", signed, err)
	}
}

// TestReceiptNamesNobody: nothing in it tells who the owner is.
func TestReceiptNamesNobody(t *testing.T) {
	w := newWorld(t)
	text, err := w.receipt(w.says(cardea.ActGrant, "offers/marketing")).JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{ownersName, "Ada", ownersMail, w.account.String()} {
		if strings.Contains(string(text), personal) {
			t.Errorf("it has %q", personal)
		}
	}
}

// TestReceiptIsTheSameLater: it follows from what was read, also when something
// else is asked by now and another key signs.
func TestReceiptIsTheSameLater(t *testing.T) {
	w := newWorld(t)
	e := w.says(cardea.ActGrant, "recommendations/use")
	before := w.receipt(e)
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(text), "id: recommendations\n")
	later := string(text[:at]) + strings.Replace(string(text[at:]), "version: 1", "version: 2", 1)
	later = strings.Replace(later, "May we use what you play", "May we use all that you play", 1)
	if err := w.ledger.Catalogue.Put(t.Context(), w.ledger.DB, []byte(later), "brand test"); err != nil {
		t.Fatal(err)
	}
	other := jose.GenerateKey()
	w.maker.Signer = other.Signer
	after := w.receipt(e)
	verify(t, before, w.key.Public())
	verify(t, after, other.Public())
	before.JWS, after.JWS = "", ""
	a, _ := before.JSON()
	b, _ := after.JSON()
	if string(a) != string(b) {
		t.Errorf("it was\n%s\nand is\n%s", a, b)
	}
	if q := after.Record.Processing.Purposes[0]; q.Version != 1 || !strings.HasPrefix(q.Question, "May we use what") {
		t.Errorf("it asks %q of version %d", q.Question, q.Version)
	}
}

// verify checks a receipt's signature by RFC 7515 and RFC 7518 alone, and that it
// is of all the rest.
func verify(t *testing.T, r receipt.Receipt, key *ecdsa.PublicKey) {
	t.Helper()
	parts := strings.Split(r.JWS, ".")
	if len(parts) != 3 {
		t.Fatalf("no compact JWS: %q", r.JWS)
	}
	var header struct{ Alg, Typ, Kid string }
	decode(t, parts[0], &header)
	if header.Alg != "ES256" || header.Typ != "cardea-receipt+json" || header.Kid != jose.Thumbprint(key) {
		t.Errorf("header %+v", header)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		t.Fatalf("signature of %d bytes: %v", len(signature), err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature is not the key's")
	}
	var signed, shown any
	decode(t, parts[1], &signed)
	r.JWS = ""
	text, _ := json.Marshal(r)
	if err := json.Unmarshal(text, &shown); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(signed)
	if b, _ := json.Marshal(shown); string(a) != string(b) {
		t.Errorf("signed %s\nshown %s", a, b)
	}
}

func decode(t *testing.T, part string, into any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoReceipt(t *testing.T) {
	w := newWorld(t)
	set := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "voice_speed", Value: "120"}
	setting, err := w.ledger.Decide(t.Context(), w.account, cardea.ChannelPortal, cardea.Scope{}, set)
	if err != nil {
		t.Fatal(err)
	}
	unasked := w.says(cardea.ActDeny, "telepathy/use")
	for what, c := range map[string]struct {
		seq  uint64
		want error
	}{
		"a setting":            {setting.Position.Seq, ledger.ErrNoConsent},
		"what was never asked": {unasked.Position.Seq, ledger.ErrNoConsent},
		"what was never there": {99, accountdb.ErrNotFound},
		"before the first":     {0, accountdb.ErrNotFound},
		"above what can be":    {1 << 62, accountdb.ErrNotFound},
	} {
		if _, _, err := w.maker.Make(t.Context(), w.account, c.seq); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// TestBrandThatSaysLittle: what the brand has not said stands there as not said.
func TestBrandThatSaysLittle(t *testing.T) {
	w := newWorld(t)
	w.maker.Controller = receipt.Controller{Name: "Cardea"}
	r := w.receipt(w.says(cardea.ActGrant, "recommendations/use"))
	w.validate(r)
	if p := r.Record.Parties[0]; p.Address != "not stated" || p.Contact != "not stated" {
		t.Errorf("%+v", p)
	}
	if a := r.Record.Processing.Purposes[0].Authority; a != "" || len(r.Record.Parties) != 3 {
		t.Errorf("authority %q among %d parties", a, len(r.Record.Parties))
	}
	if j := r.Record.Processing.Purposes[0].Jurisdiction; j != "SE" { // of the brand's own part
		t.Errorf("under the law of %q", j)
	}
}
