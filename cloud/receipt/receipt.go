// Package receipt makes the receipt of a consent decision: what an owner can
// take away and show to somebody else.
//
// A receipt has the fields of ISO/IEC TS 27560:2023, which names them and leaves
// their arrangement open. Ours is written down in docs/receipt-1.schema.json; a
// member that is not the standard's begins with "x_". There is one receipt a
// decision, of a no as of a yes, and it says one unit of consent only. It follows
// from the ledger and from the very version of the text that was read, so it is
// the same whenever it is asked for; nothing is kept for it.
//
// A receipt names nobody: its owner stands in it by pseudonym, devices by their
// key's thumbprint, and no name, address or setting of theirs at all.
//
// It is signed with the cloud's statement key, as a JWS that holds the whole
// receipt. That key and not the one of access tokens: every statement key there
// ever was is remembered, so that a receipt of years ago can be checked.
package receipt

import (
	"encoding/json"
	"fmt"

	"github.com/cardea-id/cardea"
)

// Schema names the arrangement, and is where it is written down.
const Schema = "https://github.com/cardea-id/cardea/blob/main/docs/receipt-1.schema.json"

// A Receipt is one decision. Names of fields are the standard's.
type Receipt struct {
	SchemaVersion string `json:"schema_version"`
	ReceiptID     string `json:"receipt_id"`
	Record        Record `json:"consent_record"`
	Proof         Proof  `json:"x_proof"`
	// JWS is everything else, signed: compact, ES256, with "kid".
	JWS string `json:"x_jws,omitempty"`
}

// A Record is what is recorded of one unit of consent. Its id is the same in
// every receipt about this unit, of this owner, at this scope.
type Record struct {
	SchemaVersion string     `json:"schema_version"`
	RecordID      string     `json:"record_id"`
	PrincipalID   string     `json:"pii_principal_id"` // a pseudonym
	Processing    Processing `json:"pii_processing"`
	Parties       []Party    `json:"party_identification"`
	Events        []Event    `json:"events"`
}

// A Processing is what was asked, in the language it was read in.
type Processing struct {
	PrivacyNotice string    `json:"privacy_notice"` // where this version stands
	Language      string    `json:"language"`
	Purposes      []Purpose `json:"purposes"` // one
}

// A Purpose is why, with what, by whom, where and for how long.
type Purpose struct {
	Purpose             string   `json:"purpose"`
	LawfulBasis         string   `json:"lawful_basis"`
	Information         []Datum  `json:"pii_information"`
	Controllers         []string `json:"pii_controllers"` // party ids
	CollectionMethod    string   `json:"collection_method"`
	StorageLocations    []string `json:"storage_locations"`
	RetentionPeriod     string   `json:"retention_period"`
	ProcessingLocations []string `json:"processing_locations"`
	Jurisdiction        string   `json:"jurisdiction"`
	ThirdParties        []string `json:"recipient_third_parties"` // party ids; of those this yes or no is about
	WithdrawalMethod    string   `json:"withdrawal_method"`
	PrivacyRights       string   `json:"privacy_rights"`            // where a copy and erasing are to be had
	Authority           string   `json:"authority_party,omitempty"` // party id

	Key      string `json:"x_key"`
	Title    string `json:"x_title"`
	Question string `json:"x_question"`
	Benefit  string `json:"x_benefit"`
	Refusal  string `json:"x_refusal"`
	Version  uint32 `json:"x_version"`
	Stale    int64  `json:"x_offline_seconds,omitempty"` // how long a device that hears nothing goes on
}

// A Datum is one kind of data.
type Datum struct {
	Type      string `json:"pii_type"`         // in the language of the receipt
	ID        string `json:"pii_attribute_id"` // its name in the catalogue
	Optional  bool   `json:"pii_optional"`
	Sensitive bool   `json:"sensitive_pii_category,omitempty"`
	Special   bool   `json:"special_pii_category,omitempty"`
	Concept   string `json:"x_dpv,omitempty"` // of the Data Privacy Vocabulary
}

// A Party is who has to do with the data.
type Party struct {
	ID      string `json:"party_id"`
	Name    string `json:"party_name"`       // in the language of the receipt
	Named   string `json:"x_name,omitempty"` // in the catalogue, if that is another
	Address string `json:"party_address"`
	Contact string `json:"party_contact"`
	Type    string `json:"party_type"`
	Role    string `json:"party_role"`
	URL     string `json:"party_url,omitempty"`
	Sold    bool   `json:"x_sold,omitempty"` // it pays for the data
}

// An Event is the decision.
type Event struct {
	Time     string `json:"event_time"`        // RFC 3339, UTC
	Validity string `json:"validity_duration"` // ISO 8601, or untilSaidOtherwise
	Entity   string `json:"entity_id"`
	Type     string `json:"event_type"`
	State    string `json:"event_state"`
	Channel  string `json:"x_channel"`
	Device   string `json:"x_device,omitempty"` // it reaches this one only
	Reason   string `json:"x_reason"`           // what stood after it, in the ledger's word
}

// A Proof is where the decision stands in the account's ledger, whose chain
// verifies it.
type Proof struct {
	Issuer   string         `json:"iss"`
	Era      uint32         `json:"era"`
	Seq      uint64         `json:"seq"`
	Hash     cardea.Hash    `json:"hash"`
	Previous cardea.Hash    `json:"previous,omitzero"`
	Event    cardea.EventID `json:"event"`
	Notice   cardea.Hash    `json:"notice,omitzero"` // of the text that was read; none if nobody knows
	Keys     string         `json:"keys"`            // where the keys are that x_jws is checked with
}

// JSON is the receipt as a file.
func (r Receipt) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return append(text, '\n'), nil
}
