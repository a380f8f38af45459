package receipt_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/receipt"
)

const schemaFile = "../../docs/receipt-1.schema.json"

// schema is what receipts must be: written from the standard's list of fields, by
// hand, and known to none of our types.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(receipt.Schema, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(receipt.Schema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) validate(r receipt.Receipt) {
	w.Helper()
	text, err := r.JSON()
	if err != nil {
		w.Fatal(err)
	}
	if err := schema(w.T).Validate(parsed(w.T, text)); err != nil {
		w.Errorf("%s\n%v", text, err)
	}
}

func parsed(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// mandatory is where each field stands that the standard requires, and those the
// GDPR needs besides.
var mandatory = []string{
	"schema_version", "receipt_id",
	"consent_record/schema_version", "consent_record/record_id", "consent_record/pii_principal_id",
	"consent_record/pii_processing/privacy_notice", "consent_record/pii_processing/language", "consent_record/pii_processing/purposes",
	"consent_record/pii_processing/purposes/0/purpose", "consent_record/pii_processing/purposes/0/pii_information",
	"consent_record/pii_processing/purposes/0/pii_information/0/pii_type", "consent_record/pii_processing/purposes/0/pii_controllers",
	"consent_record/pii_processing/purposes/0/storage_locations", "consent_record/pii_processing/purposes/0/retention_period",
	"consent_record/pii_processing/purposes/0/jurisdiction", "consent_record/pii_processing/purposes/0/recipient_third_parties",
	"consent_record/pii_processing/purposes/0/withdrawal_method", "consent_record/pii_processing/purposes/0/lawful_basis",
	"consent_record/pii_processing/purposes/0/collection_method", "consent_record/pii_processing/purposes/0/processing_locations",
	"consent_record/pii_processing/purposes/0/privacy_rights",
	"consent_record/party_identification", "consent_record/party_identification/0/party_id", "consent_record/party_identification/0/party_name",
	"consent_record/party_identification/0/party_address", "consent_record/party_identification/0/party_contact",
	"consent_record/party_identification/0/party_type", "consent_record/party_identification/0/party_role",
	"consent_record/events", "consent_record/events/0/event_time", "consent_record/events/0/validity_duration",
	"consent_record/events/0/entity_id", "consent_record/events/0/event_type", "consent_record/events/0/event_state",
}

// TestReceiptSchema: a receipt passes, and fails without any field that must be
// there, and with any that is wrong.
func TestReceiptSchema(t *testing.T) {
	w := newWorld(t)
	s := schema(t)
	text, err := w.receipt(w.says(cardea.ActGrant, "recommendations/third_party")).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(parsed(t, text)); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	for _, field := range mandatory {
		bad := parsed(t, text)
		at, name := parent(t, bad, field)
		delete(at, name)
		if s.Validate(bad) == nil {
			t.Errorf("passes without %s", field)
		}
	}
	for field, value := range map[string]any{
		"schema_version":                                                      "KI-CR-v1.1.0",
		"receipt_id":                                                          "17",
		"consent_record/pii_principal_id":                                     "ada@example.com",
		"consent_record/owner":                                                "Ada",
		"consent_record/events":                                               []any{},
		"consent_record/party_identification":                                 []any{},
		"consent_record/pii_processing/language":                              "English please",
		"consent_record/pii_processing/privacy_notice":                        "see our page",
		"consent_record/pii_processing/purposes":                              []any{},
		"consent_record/pii_processing/purposes/0/pii_information":            []any{},
		"consent_record/pii_processing/purposes/0/recipient_third_parties":    "none",
		"consent_record/pii_processing/purposes/0/storage_locations":          []any{"somewhere"},
		"consent_record/pii_processing/purposes/0/privacy_rights":             "write to us",
		"consent_record/pii_processing/purposes/0/pii_information/0/pii_type": "",
		"consent_record/events/0/event_time":                                  "2026-11-22 10:00",
		"consent_record/events/0/event_type":                                  "https://w3id.org/dpv#ImpliedConsent",
		"consent_record/events/0/event_state":                                 "yes",
		"consent_record/events/0/validity_duration":                           "two years",
	} {
		bad := parsed(t, text)
		at, name := parent(t, bad, field)
		at[name] = value
		if s.Validate(bad) == nil {
			t.Errorf("passes with %s: %v", field, value)
		}
	}
}

// parent finds the object that has a field, and the field's name.
func parent(t *testing.T, doc map[string]any, path string) (map[string]any, string) {
	t.Helper()
	var at any = doc
	steps := strings.Split(path, "/")
	for _, step := range steps[:len(steps)-1] {
		switch v := at.(type) {
		case map[string]any:
			at = v[step]
		case []any:
			at = v[0]
		}
	}
	out, ok := at.(map[string]any)
	if !ok {
		t.Fatalf("no object at %s", path)
	}
	return out, steps[len(steps)-1]
}

// TestDocumentedReceipt: the example of docs/receipts.md is one, and has the fields
// that a real one has.
func TestDocumentedReceipt(t *testing.T) {
	text, err := os.ReadFile("../../docs/receipts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	shown := parsed(t, []byte(example))
	if err := schema(t).Validate(shown); err != nil {
		t.Error(err)
	}
	w := newWorld(t)
	w.says(cardea.ActDeny, "product_analytics/use")
	r := w.receipt(w.says(cardea.ActGrant, "product_analytics/use"))
	r.JWS, r.Record.Parties = "", r.Record.Parties[:1]
	r.Record.Processing.Purposes[0].Information = r.Record.Processing.Purposes[0].Information[:1]
	made, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := fieldsOf("", parsed(t, made)), fieldsOf("", shown); !slices.Equal(a, b) {
		t.Errorf("a receipt has\n%q\nand the example\n%q", a, b)
	}
}

// fieldsOf are the paths of all members.
func fieldsOf(at string, v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(append(all, at+name), fieldsOf(at+name+"/", v[name])...)
		}
	case []any:
		for _, item := range v {
			all = append(all, fieldsOf(at, item)...)
		}
	}
	return all
}
