package wire

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
)

// EncodeBody writes a body, its lists sorted by key and id, so that one state
// has one encoding and one hash. ErrTooBig over MaxBodyBytes.
func EncodeBody(body cardea.Body) ([]byte, error) {
	body.Consents = slices.SortedFunc(slices.Values(body.Consents), compareConsents)
	body.Preferences = slices.SortedFunc(slices.Values(body.Preferences), comparePreferences)
	body.Orders = slices.SortedFunc(slices.Values(body.Orders), compareOrders)
	body.Collections = slices.SortedFunc(slices.Values(body.Collections), compareCollections)
	if err := checkBody(body); err != nil {
		return nil, err
	}
	b := encode(body)
	if err := limit(b, MaxBodyBytes); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeBody reads what EncodeBody writes. A consent whose reason it does not
// know is not given.
func DecodeBody(b []byte) (cardea.Body, error) {
	var body cardea.Body
	if err := limit(b, MaxBodyBytes); err != nil {
		return body, err
	}
	if err := decode(b, &body); err != nil {
		return cardea.Body{}, err
	}
	if err := checkBody(body); err != nil {
		return cardea.Body{}, err
	}
	return body, nil
}

// BodyHash names an encoded body: SHA-256 of its bytes.
func BodyHash(encoded []byte) cardea.Hash { return sha256.Sum256(encoded) }

func compareConsents(a, b cardea.Consent) int       { return cmp.Compare(a.Key, b.Key) }
func comparePreferences(a, b cardea.Preference) int { return cmp.Compare(a.Key, b.Key) }
func compareOrders(a, b cardea.Order) int           { return bytes.Compare(a.ID[:], b.ID[:]) }

func checkBody(b cardea.Body) error {
	if !text(b.Identity.Subject, maxName) || !text(b.Identity.Name, maxName) {
		return malformed("identity: at most %d bytes of UTF-8 each", maxName)
	}
	if roles, err := cardea.ParseRoles(b.Identity.Roles); err != nil || !slices.Equal(roles.Names(), b.Identity.Roles) {
		return malformed("identity: roles: at most %d names in order, none twice", cardea.MaxRoles)
	}
	if err := checkList("consents", b.Consents, maxConsents, compareConsents, checkConsent); err != nil {
		return err
	}
	if err := checkList("preferences", b.Preferences, maxPreferences, comparePreferences, checkPreference); err != nil {
		return err
	}
	if err := checkList("orders", b.Orders, maxOrders, compareOrders, checkOrder); err != nil {
		return err
	}
	return checkList("collections", b.Collections, maxConsents, compareCollections, checkCollection)
}

// checkList demands strict order: were one key there twice, two readers could
// differ over which counts.
func checkList[T any](name string, list []T, most int, compare func(a, b T) int, check func(T) error) error {
	if len(list) > most {
		return tooBig("%d %s, at most %d", len(list), name, most)
	}
	for i, item := range list {
		if i > 0 && compare(list[i-1], item) >= 0 {
			return malformed("%s: not in strict order", name)
		}
		if err := check(item); err != nil {
			return err
		}
	}
	return nil
}

func checkConsent(c cardea.Consent) error {
	if _, err := cardea.ParseKey(string(c.Key)); err != nil {
		return malformed("consent: %w", err)
	}
	switch {
	case !word(string(c.Reason)) || !word(string(c.Class)):
		return malformed("consent %s: reason and class have 1 to %d bytes", c.Key, maxWord)
	case c.Decided.Seq > maxCount || !instant(c.ValidUntil):
		return malformed("consent %s: a number is out of range", c.Key)
	case c.Given():
		return checkGiven(c)
	}
	return nil
}

// checkGiven holds a yes to what its class allows at most, whoever signed it.
func checkGiven(c cardea.Consent) error {
	switch {
	case c.Version == 0:
		return malformed("consent %s: given for no version", c.Key)
	case c.Everyone:
		return malformed("consent %s: given and denied for everyone", c.Key)
	case !c.Class.Valid():
		return malformed("consent %s: given with an unknown class", c.Key)
	case c.Class != cardea.ClassN && float64(c.Staleness) > c.Class.MaxStaleness().Seconds():
		return malformed("consent %s: staler than class %s allows", c.Key, c.Class)
	}
	return nil
}

func checkPreference(p cardea.Preference) error {
	if _, err := cardea.ParsePreferenceKey(string(p.Key)); err != nil {
		return malformed("preference: %w", err)
	}
	switch {
	case !value(p.Value):
		return malformed("preference %s: want a JSON scalar, or an array of strings, of at most %d bytes", p.Key, cardea.MaxValueBytes)
	case p.Decided.Seq > maxCount || !instant(p.Since) || !instant(p.ValidUntil):
		return malformed("preference %s: a number is out of range", p.Key)
	case !text(string(p.Source), maxWord):
		return malformed("preference %s: a source has at most %d bytes", p.Key, maxWord)
	}
	if p.Under == "" {
		return nil
	}
	if _, err := cardea.ParseKey(string(p.Under)); err != nil {
		return malformed("preference %s: %w", p.Key, err)
	}
	return nil
}

func checkOrder(o cardea.Order) error {
	if o.ID.IsZero() || !word(string(o.Kind)) {
		return malformed("order: an id and a kind must be set")
	}
	return nil
}

// value accepts a JSON string, number, true, false or array of strings without
// space around it.
func value(v cardea.Value) bool {
	s := string(v)
	if len(s) == 0 || !text(s, cardea.MaxValueBytes) || strings.ContainsAny(s[len(s)-1:], " \t\r\n") || !validJSON(s) {
		return false
	}
	return strings.ContainsRune(`"-0123456789tf`, rune(s[0])) || v.Set() != nil
}
