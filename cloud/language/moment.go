package language

import (
	"html/template"
	"strings"
	"time"
)

// A Moment is an instant as a page shows it: in words that name the zone, with
// the exact instant behind them for machines.
type Moment struct {
	Datetime string // RFC 3339 with milliseconds, UTC; a date where only the day is told
	Text     string
	In       string // how far off, for a moment to come; may be empty
}

// String is the moment as plain text.
func (m Moment) String() string {
	if m.In == "" {
		return m.Text
	}
	return m.Text + " (" + m.In + ")"
}

// HTML is the moment as part of a page.
func (m Moment) HTML() template.HTML {
	out := `<time datetime="` + template.HTMLEscapeString(m.Datetime) + `">` + template.HTMLEscapeString(m.Text) + `</time>`
	if m.In != "" {
		out += ` <span class="aside">(` + template.HTMLEscapeString(m.In) + `)</span>`
	}
	return template.HTML(out)
}

const datetime = "2006-01-02T15:04:05.000Z"

// Clock is an instant to the minute, with as much of the date as now leaves open.
func (l *Language) Clock(t, now time.Time) Moment {
	t, now = t.UTC(), now.UTC()
	key := "time.clock"
	switch {
	case t.Year() != now.Year():
		key = "time.date_clock"
	case t.YearDay() != now.YearDay():
		key = "time.day_clock"
	}
	return Moment{Datetime: t.Format(datetime), Text: l.dated(key, t)}
}

// By is an instant that bounds something: the words are never earlier than it.
func (l *Language) By(t, now time.Time) Moment {
	m := l.Clock(t.Add(time.Minute-1).Truncate(time.Minute), now)
	m.Datetime = t.UTC().Format(datetime)
	if left := t.Sub(now); left > 0 {
		n, unit := roughly(left)
		m.In = l.Text("time.in."+unit, "Count", n)
	}
	return m
}

// Day is an instant to the day.
func (l *Language) Day(t time.Time) Moment {
	return Moment{Datetime: t.UTC().Format(datetime), Text: l.dated("time.date", t.UTC())}
}

// Ago is how long before now an instant was, roughly.
func (l *Language) Ago(t, now time.Time) Moment {
	m := Moment{Datetime: t.UTC().Format(datetime), Text: l.Text("time.now")}
	switch d := now.Sub(t); {
	case d >= 48*time.Hour:
		m.Text = l.dated("time.on", t.UTC())
	case d >= 2*time.Hour:
		m.Text = l.Text("time.ago.hour", "Count", int(d/time.Hour))
	case d >= time.Minute:
		m.Text = l.Text("time.ago.minute", "Count", int(d/time.Minute))
	case d >= 10*time.Second:
		m.Text = l.Text("time.ago.second", "Count", int(d/time.Second))
	}
	return m
}

// OnDay is a moment of which only the day is told.
func (l *Language) OnDay(t, now time.Time) Moment {
	t, now = t.UTC(), now.UTC()
	m := Moment{Datetime: t.Format(time.DateOnly), Text: l.dated("time.on", t)}
	switch m.Datetime {
	case now.Format(time.DateOnly):
		m.Text = l.Text("time.today")
	case now.AddDate(0, 0, -1).Format(time.DateOnly):
		m.Text = l.Text("time.yesterday")
	}
	return m
}

// dated fills in a message about an instant with what it has a place for.
func (l *Language) dated(key string, t time.Time) string {
	return l.Text(key, "Day", t.Day(), "Month", l.Text("time.month."+strings.ToLower(t.Month().String())),
		"Year", t.Year()+l.habit.era, "Time", t.Format("15:04"))
}

// units of a duration, the largest first, by the names their messages have.
var units = []struct {
	d    time.Duration
	name string
}{
	{365 * 24 * time.Hour, "year"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"},
}

// roughly is a duration in its largest unit, rounded up.
func roughly(d time.Duration) (n int, unit string) {
	for _, u := range units[1:] {
		if d > 2*u.d {
			return int((d + u.d - 1) / u.d), u.name
		}
	}
	return int((d + time.Second - 1) / time.Second), "second"
}

// Roughly is a duration in words, in its largest unit, rounded up.
func (l *Language) Roughly(d time.Duration) string {
	n, unit := roughly(d)
	return l.Text("time.span."+unit, "Count", n)
}

// Span is a duration in the largest unit of which it is a whole number, except
// that the first unit is said as one of the next: 24 h are "24 hours".
func (l *Language) Span(d time.Duration) string {
	for i, u := range units {
		if d >= u.d && d%u.d == 0 && (d > u.d || i == len(units)-1 || u.name != "day") {
			return l.Text("time.span."+u.name, "Count", int(d/u.d))
		}
	}
	return d.String()
}
