package cardea_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

func TestHours(t *testing.T) {
	for _, text := range []string{"", "21:00-08:00", "00:00-24:00", "13:05-13:06", "22:30-24:00", "22:30-00:00"} {
		if h, err := cardea.ParseHours(text); err != nil || h.String() != text {
			t.Errorf("%q is read as %q, %v", text, h, err)
		}
	}
	for _, text := range []string{"21-8", "21:00", "21:00-21:00", "24:00-08:00", "21:60-08:00", "21:00-24:01", "21:00-08:00 ", "2a:00-08:00", "21.00-08.00", "-1:00-08:00", "21:00–8:00"} {
		if h, err := cardea.ParseHours(text); !errors.Is(err, cardea.ErrInvalidValue) {
			t.Errorf("%q is read as %q, %v", text, h, err)
		}
	}
}

func TestHoursEnd(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ hours, at, want string }{
		{"21:00-08:00", "2026-05-04 07:59", "2026-05-04 08:00"},
		{"21:00-08:00", "2026-05-04 08:00", "2026-05-04 08:00"},
		{"21:00-08:00", "2026-05-04 20:59", "2026-05-04 20:59"},
		{"21:00-08:00", "2026-05-04 21:00", "2026-05-05 08:00"},
		{"12:00-14:00", "2026-05-04 13:00", "2026-05-04 14:00"},
		{"12:00-14:00", "2026-05-04 11:59", "2026-05-04 11:59"},
		{"22:00-24:00", "2026-05-04 23:59", "2026-05-05 00:00"},
		{"21:00-08:00", "2026-03-28 23:00", "2026-03-29 08:00"}, // the clock goes forward
		{"21:00-02:30", "2026-03-29 01:59", "2026-03-29 03:00"}, // over the end
		{"21:00-08:00", "2026-10-24 23:00", "2026-10-25 08:00"}, // and back
		{"", "2026-05-04 03:00", "2026-05-04 03:00"},
		{"00:00-24:00", "2026-05-04 03:00", ""},
	} {
		h, err := cardea.ParseHours(c.hours)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation("2006-01-02 15:04", c.at, berlin)
		if err != nil {
			t.Fatal(err)
		}
		end, ok := h.After(at)
		if got := end.Format("2006-01-02 15:04"); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s after %s: %s, %t, want %s", c.hours, c.at, got, ok, c.want)
		}
	}
}
