package receipt

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/jose"
)

// Paths under the issuer that receipts name.
const (
	PathKeys    = "/receipts/keys"
	pathNotices = "/notices"
	pathChoices = "/consents"
	pathRights  = "/leaving"
)

// typ is the JWS's type (RFC 7515, Section 4.1.9), which keeps a receipt from
// being taken for a token.
const typ = "cardea-receipt+json"

// A Controller is the company that answers for the processing.
type Controller struct {
	Name    string // as it is registered
	Address string // where it can be served
	Contact string // where owners turn to: an e-mail address or a page
	Country string // whose law it is under, ISO 3166-1 alpha-2

	// Authority is the name of the one that owners can complain to, AuthorityContact
	// how to reach it. Both may be empty.
	Authority        string
	AuthorityContact string
}

// A Ledger knows what was decided: *ledger.Ledger.
type Ledger interface {
	Evidence(ctx context.Context, account cardea.AccountID, seq uint64) (ledger.Evidence, error)
}

// A Maker makes receipts. It is safe for concurrent use.
type Maker struct {
	Ledger     Ledger
	Issuer     string
	Controller Controller
	Signer     func() crypto.Signer // what signs now
}

// Make makes the receipt of the entry at seq of an account's ledger, and tells
// what it was made of. It returns what [ledger.Ledger.Evidence] returns for an
// entry that has none.
func (m *Maker) Make(ctx context.Context, account cardea.AccountID, seq uint64) (Receipt, ledger.Evidence, error) {
	v, err := m.Ledger.Evidence(ctx, account, seq)
	if err != nil {
		return Receipt{}, v, fmt.Errorf("receipt: %w", err)
	}
	r := m.of(v)
	signer := m.Signer()
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return Receipt{}, v, fmt.Errorf("sign receipt: %w", jose.ErrKey)
	}
	r.JWS, err = jose.Sign(signer, map[string]any{"typ": typ, "kid": jose.Thumbprint(pub)}, r)
	if err != nil {
		return Receipt{}, v, fmt.Errorf("sign receipt: %w", err)
	}
	return r, v, nil
}

// of arranges evidence as a receipt.
func (m *Maker) of(v ledger.Evidence) Receipt {
	e := v.Entry
	parties, third := m.parties(v)
	return Receipt{
		SchemaVersion: Schema,
		ReceiptID:     uuid("receipt", e.Position.Hash.String()),
		Record: Record{
			SchemaVersion: Schema,
			RecordID:      uuid("record", v.Subject, string(e.Key), string(e.Scope.Device)),
			PrincipalID:   v.Subject,
			Processing: Processing{
				PrivacyNotice: m.notice(v), Language: v.Language, Purposes: []Purpose{m.purpose(v, parties[0].ID, third)},
			},
			Parties: parties,
			Events:  []Event{m.event(v, parties[0].ID)},
		},
		Proof: Proof{
			Issuer: m.Issuer, Era: e.Position.Era, Seq: e.Position.Seq, Hash: e.Position.Hash, Previous: e.Previous,
			Event: e.Event, Notice: noticeHash(v), Keys: m.Issuer + PathKeys,
		},
	}
}

// notice is the page of the version that was decided on. It never changes.
func (m *Maker) notice(v ledger.Evidence) string {
	return m.Issuer + pathNotices + "/" + string(v.Purpose.ID) + "/" + strconv.FormatUint(uint64(v.Purpose.Version), 10) + "/" + url.PathEscape(v.Language)
}

// noticeHash is of the text that was read; zero where nobody knows of any.
func noticeHash(v ledger.Evidence) cardea.Hash {
	if v.Shown.Hash.IsZero() {
		return v.Entry.Notice
	}
	return v.Shown.Hash
}

func (m *Maker) purpose(v ledger.Evidence, controller string, third []string) Purpose {
	p, key := v.Purpose.Said(v.Text), v.Entry.Key
	places := p.Countries
	if len(places) == 0 {
		places = []string{withinDevice}
	}
	out := Purpose{
		Purpose: v.Text.Why, LawfulBasis: p.LegalBasis, Controllers: []string{controller},
		CollectionMethod: kinds(p), StorageLocations: places, RetentionPeriod: p.Retention,
		ProcessingLocations: places, Jurisdiction: m.jurisdiction(p), ThirdParties: third,
		WithdrawalMethod: m.Issuer + pathChoices, PrivacyRights: m.Issuer + pathRights, Key: string(key), Title: v.Text.Title, Question: v.Text.Facets[key.Facet()],
		Benefit: v.Text.Benefit, Refusal: v.Text.Refusal, Version: p.Version, Stale: int64(p.MaxStaleness() / time.Second),
	}
	if m.Controller.Authority != "" {
		out.Authority = authority
	}
	for i, d := range p.Data {
		out.Information = append(out.Information, Datum{
			Type: d, ID: v.Purpose.Data[i], Optional: true, Sensitive: key.Facet() == cardea.FacetSensitive,
			Special: v.Data[i].Special, Concept: concept(v.Data[i].DPV),
		})
	}
	return out
}

// other is the catalogue's name of what the owner read another word for.
func other(name, read string) string {
	if name == read {
		return ""
	}
	return name
}

func kinds(p cardea.Purpose) string {
	words := make([]string, len(p.Devices))
	for i, k := range p.Devices {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// jurisdiction is the controller's country, or that of the part of it which gets
// the data.
func (m *Maker) jurisdiction(p cardea.Purpose) string {
	if m.Controller.Country != "" {
		return m.Controller.Country
	}
	for _, r := range p.Recipients {
		if r.Relation == cardea.RelationOwn {
			return r.Country
		}
	}
	return NotStated
}

// uuid is an id that follows from what it names (RFC 9562, Section 5.8).
func uuid(parts ...string) string {
	sum := sha256.Sum256([]byte("cardea\x00" + strings.Join(parts, "\x00")))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	text := hex.EncodeToString(b)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
