package preferences

import (
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// A setting is a preference on a page: the control for everywhere, where its
// value comes from, and the devices on which it can be set apart.
type setting struct {
	control
	Ours   bool   // nobody has chosen it, and it does not protect the most
	Source string // a message of the family preferences.source
	Since  *language.Moment
	Until  *language.Moment
	Idle   language.Phrase // the title of what must be allowed for it to be in force
	Link   string          // to where that is
	Places []apart
}

// An apart is a device on which a setting can be set apart.
type apart struct {
	control
	Apart bool // it was
	Held  bool // it was, and what protects more holds
}

// A control is one form. Look says which: two, one, some, list, number, hours or
// text.
type control struct {
	ID     string
	Title  language.Phrase
	Name   string // of the device, if it is about one
	Action string
	Form   string
	Base   string
	Key    string
	Device string

	Look     string
	Value    string          // plain
	Words    language.Phrase // the value as the page says it
	On       bool            // of a bool
	Min, Max int64
	From, To string // of hours
	Options  []option
}

// An option is a choice. Value is what choosing it sets.
type option struct {
	Value  string
	Words  language.Phrase
	Chosen bool
}

// A place is what the controls of one page have in common.
type place struct {
	visit  desk.Visit
	action string
	base   string
	now    time.Time
}

func (p place) setting(c ledger.PreferenceChoice) setting {
	out := setting{control: p.control(c, c.Value), Source: sourceOf(c.Source)}
	out.Ours = c.Since == 0 && c.Def.Privacy && !c.Def.Protects(c.Value)
	if c.Since != 0 {
		out.Since = new(p.visit.Language.Day(c.Since.Time()))
	}
	if c.ValidUntil != 0 {
		out.Until = new(p.visit.Language.By(c.ValidUntil.Time(), p.now))
	}
	set := slices.ContainsFunc(c.On, func(on ledger.PlaceChoice) bool { return on.Apart || on.Held })
	for _, on := range c.On {
		if len(c.On) == 1 && !set {
			break // there is nothing else to be apart from
		}
		one := apart{control: p.control(c, on.Value), Apart: on.Apart, Held: on.Held}
		one.ID, one.Name, one.Device = out.ID+"-"+string(on.Device)[:8], on.Name, string(on.Device)
		out.Places = append(out.Places, one)
	}
	return out
}

// sourceOf is the member of the family of messages about a source.
func sourceOf(c cardea.Channel) string {
	switch c {
	case cardea.ChannelPortal, cardea.ChannelDevice, cardea.ChannelBrand:
		return string(c)
	}
	return "elsewhere"
}

func (p place) control(of ledger.PreferenceChoice, value cardea.Value) control {
	def := of.Def
	c := control{
		ID: anchor(def.Key), Title: p.visit.Language.Phrase(of.Title, of.Language), Action: p.action, Form: p.visit.Form(), Base: p.base, Key: string(def.Key),
		Look: lookOf(def), Value: plain(value), Min: def.Min, Max: def.Max,
	}
	if of.Title == "" {
		c.Title.Text = language.Capital(desk.Plain(c.Key))
	}
	c.On = value == "true"
	words := func(value string) language.Phrase { return wordsFor(p.visit.Language, of, value) }
	switch c.Look {
	case "two":
		c.Options = []option{{"false", words("false"), !c.On}, {"true", words("true"), c.On}}
	case "some":
		c.Options = toggles(p.visit.Language, of, value.Set())
	case "hours":
		c.From, c.To = timesOf(c.Value)
	default:
		for _, choice := range def.Choices {
			c.Options = append(c.Options, option{choice, words(choice), choice == c.Value})
		}
	}
	c.Words = words(c.Value)
	return c
}

// few is up to how many choices stand side by side.
const few = 5

func lookOf(def cardea.PreferenceDef) string {
	switch def.Type {
	case cardea.TypeBool:
		return "two"
	case cardea.TypeSet:
		return "some"
	case cardea.TypeInt:
		return "number"
	case cardea.TypeHours:
		return "hours"
	case cardea.TypeEnum:
		if len(def.Choices) <= few {
			return "one"
		}
		return "list"
	}
	return "text"
}

// toggles are the members a set can have. Each sets what the set is with it, or
// without it if it is there.
func toggles(l *language.Language, of ledger.PreferenceChoice, members []string) []option {
	var all []option
	for _, choice := range of.Def.Choices {
		chosen := slices.Contains(members, choice)
		next := slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == choice })
		if !chosen {
			next = append(next, choice)
		}
		all = append(all, option{string(cardea.SetOf(next)), wordsFor(l, of, choice), chosen})
	}
	return all
}

// timesOf are the ends of hours as a field for a time takes them; of none, those
// of a night.
func timesOf(hours string) (from, to string) {
	from, to, ok := strings.Cut(hours, "-")
	switch {
	case !ok:
		return "21:00", "08:00"
	case to == "24:00":
		return from, "00:00"
	}
	return from, to
}

// wordsFor is how the page says a value: in the brand's words, or else in ours.
func wordsFor(l *language.Language, of ledger.PreferenceChoice, value string) language.Phrase {
	if words := of.Def.Words[of.Language][value]; words != "" {
		return l.Phrase(words, of.Language)
	}
	return language.Phrase{Text: plainly(l, of.Def, value)}
}

func plainly(l *language.Language, d cardea.PreferenceDef, value string) string {
	switch {
	case d.Type == cardea.TypeBool && value == "true":
		return l.Text("preferences.yes")
	case d.Type == cardea.TypeBool:
		return l.Text("preferences.no")
	case d.Type == cardea.TypeHours && value == "":
		return l.Text("preferences.never")
	case d.Type == cardea.TypeHours && value == cardea.AllDay.String():
		return l.Text("preferences.all_day")
	case d.Type == cardea.TypeHours:
		return strings.ReplaceAll(value, "-", " – ")
	case d.Key == cardea.QuietZone:
		return strings.ReplaceAll(path.Base(value), "_", " ") // the city
	case strings.HasPrefix(string(d.Key), "comm."):
		return l.Text("preferences.often." + value)
	case strings.HasSuffix(string(d.Key), "language"):
		return language.Capital(language.NameOf(value))
	}
	return language.Capital(desk.Plain(value))
}

// plain is a value as the text of a field.
func plain(v cardea.Value) string {
	var s string
	if json.Unmarshal([]byte(v), &s) == nil {
		return s
	}
	return string(v)
}

// valueOf reads the form of a control: a value in JSON as the ledger takes it, or
// none for giving it back. What is no value at all is not ok; what fits is for
// the definition to say.
func valueOf(def cardea.PreferenceDef, form url.Values) (v cardea.Value, ok bool) {
	if form.Has("back") {
		return "", true
	}
	text := form.Get("value")
	switch def.Type {
	case cardea.TypeBool, cardea.TypeInt, cardea.TypeSet:
		v = cardea.Value(strings.TrimSpace(text))
		return v, v != ""
	case cardea.TypeHours:
		if !form.Has("value") {
			text = form.Get("from") + "-" + form.Get("to")
		}
	}
	quoted, err := json.Marshal(text)
	return cardea.Value(quoted), err == nil
}
