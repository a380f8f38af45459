// Package words is how pages speak of instants, durations, lists and devices.
package words

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
)

// A Moment is an instant as a page shows it: in words that name the zone, with
// the exact instant behind them for machines.
type Moment struct {
	Datetime string // RFC 3339 with milliseconds, UTC
	Text     string
	In       string // how far off, for a Moment to come
}

const datetime = "2006-01-02T15:04:05.000Z"

// Clock is an instant to the minute, with as much of the date as now leaves open.
func Clock(t, now time.Time) Moment {
	t, now = t.UTC(), now.UTC()
	layout := "15:04"
	switch {
	case t.Year() != now.Year():
		layout = "2 Jan 2006, 15:04"
	case t.YearDay() != now.YearDay():
		layout = "2 Jan, 15:04"
	}
	return Moment{Datetime: t.Format(datetime), Text: t.Format(layout) + " UTC"}
}

// By is an instant that bounds something: the words are never earlier than it.
func By(t, now time.Time) Moment {
	m := Clock(t.Add(time.Minute-1).Truncate(time.Minute), now)
	m.Datetime = t.UTC().Format(datetime)
	if left := t.Sub(now); left > 0 {
		m.In = "in " + Roughly(left)
	}
	return m
}

// Roughly is a duration in its largest unit, rounded up.
func Roughly(d time.Duration) string {
	for _, u := range units[1:] {
		if d > 2*u.d {
			return plural(int64((d+u.d-1)/u.d), u.name)
		}
	}
	return plural(int64((d+time.Second-1)/time.Second), "second")
}

// Day is an instant to the day.
func Day(t time.Time) Moment {
	return Moment{Datetime: t.UTC().Format(datetime), Text: t.UTC().Format("2 Jan 2006")}
}

// Ago is how long before now an instant was, roughly.
func Ago(t, now time.Time) Moment {
	m := Moment{Datetime: t.UTC().Format(datetime), Text: "just now"}
	switch d := now.Sub(t); {
	case d >= 48*time.Hour:
		m.Text = "on " + t.UTC().Format("2 Jan 2006")
	case d >= 2*time.Hour:
		m.Text = plural(int64(d/time.Hour), "hour") + " ago"
	case d >= time.Minute:
		m.Text = plural(int64(d/time.Minute), "minute") + " ago"
	case d >= 10*time.Second:
		m.Text = plural(int64(d/time.Second), "second") + " ago"
	}
	return m
}

// OnDay is a Moment of which only the day is told.
func OnDay(t, now time.Time) Moment {
	t, now = t.UTC(), now.UTC()
	m := Moment{Datetime: t.Format(time.DateOnly), Text: "on " + t.Format("2 Jan 2006")}
	switch m.Datetime {
	case now.Format(time.DateOnly):
		m.Text = "today"
	case now.AddDate(0, 0, -1).Format(time.DateOnly):
		m.Text = "yesterday"
	}
	return m
}

// units of a duration in words, the largest first.
var units = []struct {
	d    time.Duration
	name string
}{
	{365 * 24 * time.Hour, "year"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"},
}

// Span is a duration in the largest unit of which it is a whole number, except
// that the first unit is said as one of the next: 24 h are "24 hours".
func Span(d time.Duration) string {
	for i, u := range units {
		if d >= u.d && d%u.d == 0 && (d > u.d || i == len(units)-1 || u.name != "day") {
			return plural(int64(d/u.d), u.name)
		}
	}
	return d.String()
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// Listed joins words: "a", "a or b", "a, b or c".
func Listed(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

// A Kind is how pages speak of a sort of device.
type Kind struct {
	Icon       string // a symbol of icons.html
	Word       string // in a sentence, after "the" or "your"
	Suggestion string // a name for one
}

var kinds = map[cardea.DeviceKind]Kind{
	"speaker": {"speaker", "speaker", "Kitchen speaker"},
	"car":     {"car", "car", "My car"},
	"tv":      {"tv", "TV", "Living room TV"},
}

func KindOf(k cardea.DeviceKind) Kind {
	if known, ok := kinds[k]; ok {
		return known
	}
	return Kind{"device", "device", "My device"}
}

// Suggest is a name for a new device that none of the others has.
func Suggest(k cardea.DeviceKind, taken []string) string {
	name := KindOf(k).Suggestion
	for n := 2; ; n++ {
		if !slices.ContainsFunc(taken, func(n string) bool { return strings.EqualFold(n, name) }) {
			return name
		}
		name = fmt.Sprintf("%s %d", KindOf(k).Suggestion, n)
	}
}

// Capital is a text with its first letter in upper case.
func Capital(s string) string {
	for i, r := range s {
		return strings.ToUpper(string(r)) + s[i+len(string(r)):]
	}
	return s
}

// Sentence is a text from the catalogue with a Capital and a full stop.
func Sentence(s string) string {
	if s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return Capital(s)
}

// Plain is a name from the catalogue as people write it: "voice_clips" is
// "voice clips".
func Plain(s string) string { return strings.ReplaceAll(s, "_", " ") }

// LanguageNames are languages as those who speak them call them.
var LanguageNames = map[string]string{
	"de": "Deutsch", "en": "English", "es": "Español", "fi": "Suomi", "fr": "Français", "it": "Italiano", "ja": "日本語", "ko": "한국어",
	"nl": "Nederlands", "pl": "Polski", "pt": "Português", "sv": "Svenska", "th": "ไทย", "zh": "中文",
}

// countryNames are the countries recipients are likely in, by ISO 3166-1 code.
var countryNames = func() map[string]string {
	names := map[string]string{}
	for line := range strings.FieldsFuncSeq(countryList, func(r rune) bool { return r == ';' || r == '\n' }) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		names[code] = name
	}
	return names
}()

const countryList = `AT Austria;AU Australia;BE Belgium;BG Bulgaria;BR Brazil;CA Canada;CH Switzerland;CN China;CY Cyprus;CZ Czechia
DE Germany;DK Denmark;EE Estonia;ES Spain;FI Finland;FR France;GB United Kingdom;GR Greece;HK Hong Kong;HR Croatia;HU Hungary
IE Ireland;IL Israel;IN India;IS Iceland;IT Italy;JP Japan;KR South Korea;LI Liechtenstein;LT Lithuania;LU Luxembourg;LV Latvia
MT Malta;MX Mexico;MY Malaysia;NL Netherlands;NO Norway;NZ New Zealand;PH Philippines;PL Poland;PT Portugal;RO Romania;SE Sweden
SG Singapore;SI Slovenia;SK Slovakia;TH Thailand;TR Türkiye;TW Taiwan;UA Ukraine;US United States;VN Vietnam;ZA South Africa`

// Country is a country's name, or its code where the name is not known.
func Country(code string) string {
	if name, ok := countryNames[code]; ok {
		return name
	}
	return code
}
