package cardea

import (
	"fmt"
	"time"
)

// Hours are a part of every day, in minutes since midnight: from 21:00 until
// 08:00 the next morning is {1260, 480}. The zero Hours are none.
type Hours struct{ From, To int }

// AllDay are the hours outside of which there is no time.
var AllDay = Hours{0, 24 * 60}

// ParseHours reads "21:00-08:00", or "" for none. "00:00-24:00" is the whole
// day.
func ParseHours(text string) (Hours, error) {
	if text == "" {
		return Hours{}, nil
	}
	var h Hours
	ok := len(text) == 11 && text[5] == '-'
	if ok {
		from, good := minutes(text[:5])
		to, fine := minutes(text[6:])
		h, ok = Hours{from, to}, good && fine
	}
	if !ok || h.From == h.To || h.From == AllDay.To {
		return Hours{}, fmt.Errorf("%w: %.20q are no hours: write \"21:00-08:00\", or nothing for none", ErrInvalidValue, text)
	}
	return h, nil
}

// minutes reads 00:00 to 24:00.
func minutes(text string) (int, bool) {
	digit := func(i int) int { return int(text[i]) - '0' }
	for _, i := range []int{0, 1, 3, 4} {
		if d := digit(i); d < 0 || d > 9 {
			return 0, false
		}
	}
	hour, minute := 10*digit(0)+digit(1), 10*digit(3)+digit(4)
	at := 60*hour + minute
	return at, text[2] == ':' && minute < 60 && at <= AllDay.To
}

// String writes them as ParseHours reads them.
func (h Hours) String() string {
	if h == (Hours{}) {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
}

// Cover reports whether the hours hold at t, on the clock of t's location.
func (h Hours) Cover(t time.Time) bool {
	at := 60*t.Hour() + t.Minute()
	if h.From <= h.To {
		return h.From <= at && at < h.To
	}
	return at >= h.From || at < h.To
}

// After is the first instant from t on at which the hours do not hold; ok is
// false if there is none. Where a clock is put forward over their end, that is
// when it has been.
func (h Hours) After(t time.Time) (end time.Time, ok bool) {
	switch {
	case !h.Cover(t):
		return t, true
	case h == AllDay:
		return time.Time{}, false
	}
	end = time.Date(t.Year(), t.Month(), t.Day(), h.To/60, h.To%60, 0, 0, t.Location())
	if !end.After(t) {
		end = time.Date(t.Year(), t.Month(), t.Day()+1, h.To/60, h.To%60, 0, 0, t.Location())
	}
	for h.Cover(end) { // the clock is put back or forward over it
		end = end.Add(time.Minute)
	}
	for before := end.Add(-time.Minute); before.After(t) && !h.Cover(before); before = end.Add(-time.Minute) {
		end = before
	}
	return end, true
}
