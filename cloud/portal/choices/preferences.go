package choices

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// postPreference takes one preference. The value is plain text in the form and a
// JSON scalar in the ledger.
func (p *Room) postPreference(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	base, err := desk.ParseBase(r.PostFormValue("base"))
	if err != nil {
		return desk.ErrForeign
	}
	asked, err := p.ledger.Page(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	key := cardea.PreferenceKey(r.PostFormValue("preference"))
	for _, c := range asked.Preferences {
		if c.Def.Key != key {
			continue
		}
		d := cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: key, Base: base,
			Value: jsonOf(c.Def.Type, r.PostFormValue("value")),
		}
		if _, err := p.ledger.Decide(r.Context(), v.Account, cardea.ChannelPortal, cardea.Scope{}, d); err != nil {
			return rejected(err)
		}
		http.Redirect(w, r, desk.Home+"#"+preferenceAnchor(key), http.StatusSeeOther)
		return nil
	}
	return rejected(&ledger.RejectedError{Reason: cardea.RejectedUnknown})
}

func preferenceAnchor(k cardea.PreferenceKey) string { return "p-" + string(k) }

// A preference is one small form.
type preference struct {
	ID       string
	Title    string
	Key      string
	Type     cardea.PreferenceType
	Value    string // plain
	On       bool   // of a bool
	Words    string // the value as the page says it
	Min, Max int64
	Options  []option
	Base     string
	Form     string
}

type option struct {
	Value, Words string
	Selected     bool
}

func preferenceOf(v desk.Visit, c ledger.PreferenceChoice, base string) preference {
	out := preference{
		ID: preferenceAnchor(c.Def.Key), Title: c.Title, Key: string(c.Def.Key), Type: c.Def.Type,
		Value: textOf(c.Value), Min: c.Def.Min, Max: c.Def.Max, Base: base, Form: v.Form(),
	}
	if out.Title == "" {
		out.Title = language.Capital(desk.Plain(out.Key))
	}
	choices := c.Def.Choices
	if c.Def.Type == cardea.TypeBool {
		choices = []string{"false", "true"}
	}
	for _, choice := range choices {
		out.Options = append(out.Options, option{choice, wordsFor(v.Language, c.Def, choice), choice == out.Value})
	}
	out.Words, out.On = wordsFor(v.Language, c.Def, out.Value), out.Value == "true"
	return out
}

// wordsFor is how the page says a value.
func wordsFor(l *language.Language, d cardea.PreferenceDef, value string) string {
	switch {
	case d.Type == cardea.TypeBool && value == "true":
		return l.Text("choices.yes")
	case d.Type == cardea.TypeBool:
		return l.Text("choices.no")
	case strings.HasSuffix(string(d.Key), "language"):
		return language.Capital(language.NameOf(value))
	}
	return language.Capital(desk.Plain(value))
}

// textOf is a JSON scalar as plain text.
func textOf(v cardea.Value) string {
	var s string
	if json.Unmarshal([]byte(v), &s) == nil {
		return s
	}
	return string(v)
}

// jsonOf is plain text of a form as a JSON scalar of the type. What is no such
// scalar is refused by the definition.
func jsonOf(t cardea.PreferenceType, text string) cardea.Value {
	if slices.Contains([]cardea.PreferenceType{cardea.TypeBool, cardea.TypeInt}, t) {
		return cardea.Value(strings.TrimSpace(text))
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return cardea.Value(quoted)
}
