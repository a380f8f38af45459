package programs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/config"
)

// An Entitlement is something a program may ask for.
type Entitlement string

// The entitlements there are. The zero Entitlement needs a registered program
// and nothing more.
const (
	MayPair         Entitlement = "pair"          // start, show and cancel a pairing
	MayDecide       Entitlement = "decide"        // ask "may I?" about its purposes
	MayToken        Entitlement = "token"         // get access tokens for its audiences
	MayPrefs        Entitlement = "prefs"         // who is here; read and set its preferences
	MayReadConsent  Entitlement = "consent.read"  // show what stands of its purposes
	MayWriteConsent Entitlement = "consent.write" // withdraw and allow its purposes
	MayEvents       Entitlement = "events"        // watch, and hand in what it collects for its purposes
	MayPeople       Entitlement = "people"        // say who uses the device now, and be told their names
	MayAdmin        Entitlement = "admin"         // end links, and reset the device
)

// Anybody is what a call needs that tells callers about themselves and nothing
// else: not even a file.
const Anybody Entitlement = "-"

// Entitlements lists all of them.
var Entitlements = []Entitlement{
	MayPair, MayDecide, MayToken, MayPrefs, MayReadConsent, MayWriteConsent, MayEvents, MayPeople, MayAdmin,
}

// Any in a list of a program stands for everything of that sort.
const Any = "*"

// A Program is one registry file: who it is for, and what it may ask for. Who
// is meant must match in all of User, Group and Unit that are set, and one must
// be.
type Program struct {
	// Name is how logs and errors call the program.
	Name string `toml:"name"`
	// User is a user's name or number.
	User string `toml:"user"`
	// Group is a group's name or number: the group the program runs as, or one
	// the user database puts its user into.
	Group string `toml:"group"`
	// Unit is a unit of the system's systemd, such as "speaker-ui.service".
	Unit string `toml:"unit"`
	// Entitlements are what the program may ask for. None: only its status.
	Entitlements []Entitlement `toml:"entitlements"`
	// Purposes, Audiences and Preferences are what it may ask about. None: of
	// nothing; "*": of everything.
	Purposes    []cardea.PurposeID     `toml:"purposes"`
	Audiences   []string               `toml:"audiences"`
	Preferences []cardea.PreferenceKey `toml:"preferences"`

	file     string
	uid, gid *uint32 // of User and Group
}

// ErrProgram is returned for a registry file that can not be used.
var ErrProgram = errors.New("invalid program file")

// isName reports whether a program can be called so.
func isName(text string) bool {
	const first = "abcdefghijklmnopqrstuvwxyz0123456789"
	return text != "" && len(text) <= 64 && strings.IndexByte(first, text[0]) >= 0 && strings.Trim(text, first+"._-") == ""
}

// ParseProgram reads the text of a registry file. It does not look up users and
// groups.
func ParseProgram(text string) (Program, error) {
	var p Program
	if err := config.Parse(text, &p); err != nil {
		return Program{}, err
	}
	if err := p.validate(); err != nil {
		return Program{}, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	return p, nil
}

func (p *Program) validate() error {
	switch {
	case !isName(p.Name):
		return errors.New("name: lower-case letters, digits, '.', '_' and '-', at most 64")
	case p.User == "" && p.Group == "" && p.Unit == "":
		return errors.New("set user, group or unit: who is the program?")
	case p.Unit != "" && (!isUnit(p.Unit) || strings.Contains(p.Unit, "/")):
		return errors.New("unit: a unit's full name, such as \"speaker-ui.service\"")
	}
	for _, e := range p.Entitlements {
		if !slices.Contains(Entitlements, e) {
			return fmt.Errorf("entitlements: there is no %.40q, only %q", e, Entitlements)
		}
	}
	for _, id := range p.Purposes {
		if _, err := cardea.ParseKey(string(cardea.KeyOf(id, cardea.FacetUse))); err != nil && id != Any {
			return fmt.Errorf("purposes: %.40q is no purpose: write its id without a facet, as in \"recommendations\"", id)
		}
	}
	for _, key := range p.Preferences {
		if _, err := cardea.ParsePreferenceKey(string(key)); err != nil && key != Any {
			return fmt.Errorf("preferences: %w", err)
		}
	}
	if slices.Contains(p.Audiences, "") {
		return errors.New("audiences: an empty one is none")
	}
	return nil
}

// May reports whether the program has the entitlement.
func (p *Program) May(e Entitlement) bool { return e == "" || slices.Contains(p.Entitlements, e) }

// MayPurpose, MayAudience and MayPreference report whether the program may ask
// about it.
func (p *Program) MayPurpose(id cardea.PurposeID) bool         { return listed(p.Purposes, id) }
func (p *Program) MayAudience(name string) bool                { return listed(p.Audiences, name) }
func (p *Program) MayPreference(key cardea.PreferenceKey) bool { return listed(p.Preferences, key) }

// File is where the program's entitlements stand.
func (p *Program) File() string { return p.file }

func listed[S ~string](list []S, item S) bool {
	return slices.Contains(list, item) || slices.Contains(list, Any)
}
