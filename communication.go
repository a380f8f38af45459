package cardea

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Communication is how a brand may write to its customers at all: by which
// media, on which topics, how often, and not at night. What a customer wants of
// it is kept as preferences of theirs, one for each medium and topic, and two for
// the quiet hours. A wish is no consent: without the consent its topic names it
// has no effect. The zero Communication writes to nobody.
type Communication struct {
	Media  []Medium `yaml:"channels" json:"channels"`
	Topics []Topic  `yaml:"topics" json:"topics"`
	Quiet  Quiet    `yaml:"quiet" json:"quiet"`
}

// A Medium is how a message reaches somebody, such as "email".
type Medium struct {
	Key string `yaml:"key" json:"key"`
	// AnyHour: it wakes nobody, and is used in quiet hours too.
	AnyHour bool              `yaml:"any_hour" json:"any_hour,omitempty"`
	Titles  map[string]string `yaml:"titles" json:"titles"` // by language
}

// A Topic is what messages are about.
type Topic struct {
	Key string `yaml:"key" json:"key"`
	// Consent is the marketing facet without which nothing is sent.
	Consent Key `yaml:"consent" json:"consent"`
	// Often are the frequencies that can be chosen, besides never.
	Often []Frequency `yaml:"often" json:"often"`
	// Defaults say by medium what counts until the customer has chosen; a medium
	// that is not named is not used.
	Defaults map[string]Frequency `yaml:"defaults" json:"defaults,omitempty"`
	Titles   map[string]string    `yaml:"titles" json:"titles"`
}

// Quiet is when nothing is sent that could wake somebody, unless they choose
// other hours, and in which of the zones, the first unless they choose another.
type Quiet struct {
	Hours      string            `yaml:"hours" json:"hours"` // as ParseHours reads them
	Zones      []string          `yaml:"zones" json:"zones"` // of the IANA database, such as "Asia/Seoul"
	Titles     map[string]string `yaml:"titles" json:"titles"`
	ZoneTitles map[string]string `yaml:"zone_titles" json:"zone_titles"`
}

// A Frequency is how often messages are sent at most.
type Frequency string

// The frequencies there are.
const (
	Off     Frequency = "off"
	Each    Frequency = "each" // whenever there is one
	Daily   Frequency = "daily"
	Weekly  Frequency = "weekly"
	Monthly Frequency = "monthly"
)

// Frequencies lists all of them, the rarest first.
var Frequencies = []Frequency{Off, Monthly, Weekly, Daily, Each}

// pause is the least time between two messages.
func (f Frequency) pause() time.Duration {
	switch f {
	case Daily:
		return 24 * time.Hour
	case Weekly:
		return 7 * 24 * time.Hour
	case Monthly:
		return 30 * 24 * time.Hour
	}
	return 0
}

// Where wishes are kept: "comm.email.offers", and the two of the quiet hours.
const (
	communicationPrefix = "comm."

	QuietHours PreferenceKey = communicationPrefix + "quiet"
	QuietZone  PreferenceKey = communicationPrefix + "zone"
)

func isCommunication(key PreferenceKey) bool {
	return strings.HasPrefix(string(key), communicationPrefix)
}

// WishKey is the preference in which a wish is kept.
func WishKey(medium, topic string) PreferenceKey {
	return PreferenceKey(communicationPrefix + medium + "." + topic)
}

// Medium finds a medium.
func (c Communication) Medium(key string) (Medium, bool) {
	i := slices.IndexFunc(c.Media, func(m Medium) bool { return m.Key == key })
	if i < 0 {
		return Medium{}, false
	}
	return c.Media[i], true
}

// Topic finds a topic.
func (c Communication) Topic(key string) (Topic, bool) {
	i := slices.IndexFunc(c.Topics, func(t Topic) bool { return t.Key == key })
	if i < 0 {
		return Topic{}, false
	}
	return c.Topics[i], true
}

// Wish defines the preference of a medium and a topic. It is a privacy
// preference: never is what protects, so that the brand can only stop, and a stop
// that crosses a wish wins.
func (c Communication) Wish(m Medium, t Topic) PreferenceDef {
	d := PreferenceDef{
		Key: WishKey(m.Key, t.Key), Type: TypeEnum, Default: quote(string(Off)),
		Privacy: true, Protective: quote(string(Off)), Titles: map[string]string{},
	}
	if f := t.Defaults[m.Key]; f != "" {
		d.Default = quote(string(f))
	}
	for _, f := range Frequencies {
		if f == Off || slices.Contains(t.Often, f) {
			d.Choices = append(d.Choices, string(f))
		}
	}
	for language, title := range t.Titles {
		d.Titles[language] = title + " · " + m.Titles[language]
	}
	return d
}

// QuietHours defines the preference of the quiet hours. What protects is the
// whole day.
func (c Communication) QuietHours() PreferenceDef {
	return PreferenceDef{
		Key: QuietHours, Type: TypeHours, Default: quote(c.Quiet.Hours),
		Privacy: true, Protective: quote(AllDay.String()), Titles: c.Quiet.Titles,
	}
}

// QuietZone defines the preference of their time zone.
func (c Communication) QuietZone() PreferenceDef {
	return PreferenceDef{Key: QuietZone, Type: TypeEnum, Choices: c.Quiet.Zones, Default: quote(c.Quiet.Zones[0]), Titles: c.Quiet.ZoneTitles}
}

// preference finds the definition of a wish.
func (c Communication) preference(key PreferenceKey) (PreferenceDef, bool) {
	if len(c.Topics) == 0 {
		return PreferenceDef{}, false
	}
	switch key {
	case QuietHours:
		return c.QuietHours(), true
	case QuietZone:
		return c.QuietZone(), true
	}
	medium, topic, _ := strings.Cut(strings.TrimPrefix(string(key), communicationPrefix), ".")
	m, known := c.Medium(medium)
	t, also := c.Topic(topic)
	return c.Wish(m, t), known && also
}

// Wishes are what a customer wants of one topic by one medium, and when not.
type Wishes struct {
	Frequency Frequency
	Quiet     Hours
	Zone      *time.Location
}

// A SendReason says why a message may be sent or not.
type SendReason string

// The reasons there are.
const (
	SendWanted    SendReason = "wanted"
	SendNoConsent SendReason = "no_consent"  // the topic's consent is not given then
	SendOff       SendReason = "off"         // it is given, and they do not want this here
	SendTooSoon   SendReason = "too_soon"    // after the last one
	SendQuiet     SendReason = "quiet_hours" // now
)

// A Sending is the answer to "may I write?". NotBefore is when the answer could
// be yes, if no decision changes; zero if waiting does not help.
type Sending struct {
	Send      bool
	Reason    SendReason
	NotBefore time.Time
}

// MaySend answers whether a message of a topic may be sent by a medium at an
// instant; last is when the one before was sent, or zero.
func (m Medium) MaySend(consent Consent, w Wishes, at, last time.Time) Sending {
	switch {
	case !consent.Given() || consent.ValidUntil != 0 && MillisOf(at) >= consent.ValidUntil:
		return Sending{Reason: SendNoConsent}
	case w.Frequency == Off || w.Frequency == "":
		return Sending{Reason: SendOff}
	}
	s := Sending{Reason: SendQuiet}
	earliest := at
	if next := last.Add(w.Frequency.pause()); !last.IsZero() && next.After(at) {
		earliest, s.Reason = next, SendTooSoon
	}
	if !m.AnyHour {
		end, ok := w.Quiet.After(earliest.In(w.Zone))
		if !ok {
			return s
		}
		earliest = end
	}
	if !earliest.After(at) {
		return Sending{Send: true, Reason: SendWanted}
	}
	s.NotBefore = earliest
	return s
}

// validate refuses a section of which a part could never be used.
func (c Communication) validate(cat *Catalogue) error {
	if len(c.Media) == 0 && len(c.Topics) == 0 {
		return nil
	}
	if len(c.Media) == 0 || len(c.Topics) == 0 {
		return errors.New("channels and topics: at least one each")
	}
	seen := map[string]bool{}
	for _, m := range c.Media {
		if err := checkPart(m.Key, m.Titles, cat.Languages, seen, "channel"); err != nil {
			return err
		}
	}
	for _, t := range c.Topics {
		if err := checkPart(t.Key, t.Titles, cat.Languages, seen, "topic"); err != nil {
			return err
		}
		if err := c.validateTopic(cat, t); err != nil {
			return fmt.Errorf("topic %q: %w", t.Key, err)
		}
	}
	return c.Quiet.validate(cat)
}

// checkPart checks what media and topics have in common. Together their keys
// have room in a preference's.
func checkPart(key string, titles map[string]string, languages []string, seen map[string]bool, what string) error {
	switch {
	case !isName(key, 20, "_"):
		return fmt.Errorf("%s %.40q: lower-case letters, digits and '_', at most 20", what, key)
	case seen[what+key]:
		return fmt.Errorf("%s %q stands there twice", what, key)
	}
	seen[what+key] = true
	if language := untitled(titles, languages); language != "" {
		return fmt.Errorf("%s %q: titles.%s: must be set", what, key, language)
	}
	return nil
}

// untitled is the first language without a title.
func untitled(titles map[string]string, languages []string) string {
	i := slices.IndexFunc(languages, func(l string) bool { return titles[l] == "" })
	if i < 0 {
		return ""
	}
	return languages[i]
}

func (c Communication) validateTopic(cat *Catalogue, t Topic) error {
	terms, ok := cat.Terms(t.Consent)
	switch {
	case !ok || terms.Class == ClassN:
		return fmt.Errorf("consent: %.60q is not asked for", t.Consent)
	case t.Consent.Facet() != FacetMarketing:
		return fmt.Errorf("consent: %q is not of the facet %q", t.Consent, FacetMarketing)
	case len(t.Often) == 0 || repeats(t.Often):
		return errors.New("often: at least one, each once")
	}
	for _, f := range t.Often {
		if f == Off || !slices.Contains(Frequencies, f) {
			return fmt.Errorf("often: %.40q is none of %q", f, Frequencies[1:])
		}
	}
	for medium, f := range t.Defaults {
		if _, ok := c.Medium(medium); !ok || !slices.Contains(t.Often, f) {
			return fmt.Errorf("defaults: %.40q by %.40q is not offered", f, medium)
		}
	}
	return nil
}

func (q Quiet) validate(cat *Catalogue) error {
	hours, err := ParseHours(q.Hours)
	switch {
	case err != nil:
		return fmt.Errorf("quiet.hours: %w", err)
	case hours.String() != q.Hours:
		return fmt.Errorf("quiet.hours: write %q", hours)
	case len(q.Zones) == 0 || repeats(q.Zones):
		return errors.New("quiet.zones: at least one, each once, such as Asia/Seoul")
	}
	for name, titles := range map[string]map[string]string{"titles": q.Titles, "zone_titles": q.ZoneTitles} {
		if language := untitled(titles, cat.Languages); language != "" {
			return fmt.Errorf("quiet.%s.%s: must be set", name, language)
		}
	}
	return nil
}
