package receipt

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
)

// Terms of the Data Privacy Vocabulary, version 2, in which the standard's values
// are said.
const (
	dpv          = "https://w3id.org/dpv#"
	pd           = "https://w3id.org/dpv/pd#" // its extension for personal data
	withinDevice = dpv + "WithinDevice"
	// untilSaidOtherwise is how long a no counts.
	untilSaidOtherwise = dpv + "UntilEventDuration"
)

// NotStated stands where the brand has not said what the standard asks for.
const NotStated = "not stated"

// concept is the address of a concept that is written with its prefix.
func concept(short string) string {
	if name, ok := strings.CutPrefix(short, "pd:"); ok {
		return pd + name
	}
	if name, ok := strings.CutPrefix(short, "dpv:"); ok {
		return dpv + name
	}
	return ""
}

// authority is the party id of who owners can complain to.
const authority = "authority"

var roles = map[cardea.Relation]string{
	cardea.RelationOwn:        dpv + "DataController",
	cardea.RelationProcessor:  dpv + "DataProcessor",
	cardea.RelationThirdParty: dpv + "ThirdParty",
}

// parties are the controller, all who get the data, and the authority; and the ids of the
// third parties that this decision is about: where passing on or selling is asked
// apart, a yes to the use is none to them.
func (m *Maker) parties(v ledger.Evidence) (all []Party, third []string) {
	c := m.Controller
	all = []Party{{
		ID: "controller", Name: stated(c.Name), Address: stated(c.Address), Contact: stated(c.Contact), Type: "organisation",
		Role: roles[cardea.RelationOwn], URL: m.Issuer,
	}}
	third = []string{}
	said := v.Purpose.Said(v.Text)
	for i, r := range v.Purpose.Recipients {
		id, name := "recipient-"+strconv.Itoa(i+1), said.Recipients[i].Name
		all = append(all, Party{
			ID: id, Name: name, Named: other(r.Name, name), Address: r.Country, Contact: stated(c.Contact), Type: "organisation", Role: roles[r.Relation], Sold: r.Sold,
		})
		if r.Relation == cardea.RelationThirdParty && about(v, r) {
			third = append(third, id)
		}
	}
	if c.Authority != "" {
		all = append(all, Party{
			ID: authority, Name: c.Authority, Address: m.jurisdiction(v.Purpose), Contact: stated(c.AuthorityContact),
			Type: "authority", Role: dpv + "DataProtectionAuthority",
		})
	}
	return all, third
}

// about reports whether a decision is about passing data on to a third party.
func about(v ledger.Evidence, r cardea.Recipient) bool {
	facet := v.Entry.Key.Facet()
	apart := cardea.FacetThirdParty
	if r.Sold && slices.Contains(v.Purpose.Facets, cardea.FacetSale) {
		apart = cardea.FacetSale
	}
	return facet == apart || facet == cardea.FacetUse && !slices.Contains(v.Purpose.Facets, apart)
}

func stated(text string) string {
	if strings.TrimSpace(text) == "" {
		return NotStated
	}
	return text
}

func (m *Maker) event(v ledger.Evidence, controller string) Event {
	e := v.Entry
	out := Event{
		Time: e.Recorded.Time().UTC().Format("2006-01-02T15:04:05.000Z"), Validity: untilSaidOtherwise, Entity: v.Subject,
		Type: kindOfConsent(v), State: dpv + stateOf(v), Channel: string(e.Channel), Device: string(e.Scope.Device), Reason: string(v.After.Reason),
	}
	if e.Channel == cardea.ChannelBrand {
		out.Entity = controller
	}
	if e.Act == cardea.ActGrant {
		out.Validity = duration(v.Purpose.Validity)
	}
	return out
}

// kindOfConsent is explicit where a law wants it said expressly: to what is
// sensitive, and to data leaving for countries with less protection.
func kindOfConsent(v ledger.Evidence) string {
	switch v.Entry.Key.Facet() {
	case cardea.FacetSensitive, cardea.FacetCrossBorder:
		return dpv + "ExplicitlyExpressedConsent"
	}
	return dpv + "ExpressedConsent"
}

// stateOf is what the decision made of the consent. A yes that has not seen a no
// opens nothing, and says so.
func stateOf(v ledger.Evidence) string {
	was := v.Before.Given()
	switch {
	case v.Entry.Act == cardea.ActGrant && !v.After.Given():
		return "ConsentInvalidated"
	case v.Entry.Act == cardea.ActGrant && was:
		return "RenewedConsentGiven"
	case v.Entry.Act == cardea.ActGrant:
		return "ConsentGiven"
	case was && v.Entry.Channel == cardea.ChannelBrand:
		return "ConsentRevoked"
	case was:
		return "ConsentWithdrawn"
	}
	return "ConsentRefused"
}

// duration is a validity by ISO 8601, in days where it is whole days.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return "P" + strconv.FormatInt(int64(d/day), 10) + "D"
	}
	return "PT" + strconv.FormatInt(int64(d/time.Second), 10) + "S"
}
