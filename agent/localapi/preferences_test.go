package localapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/store/devicedb"
)

// state has the cloud state other preferences.
func (h *house) state(t testing.TB, preferences ...cardea.Preference) {
	t.Helper()
	err := h.db.Change(h.link, func(l *devicedb.Link) error {
		l.Body.Preferences = preferences
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.change(func() {})
}

// shown are the preferences a program sees, as JSON.
func shown(t testing.TB, h *house, path string) string {
	t.Helper()
	var p client.Preferences
	if status, answer := h.send(t, "GET", path, ""); status != 200 || json.Unmarshal([]byte(answer), &p) != nil {
		t.Fatalf("%d %s", status, answer)
	}
	text, err := json.Marshal(p.Preferences)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// told is one preference of each sort.
func told() []cardea.Preference {
	return []cardea.Preference{
		{Key: "genres", Value: `["jazz","news"]`, Decided: cardea.Point{Era: 1, Seq: 3}, Source: cardea.ChannelPortal, Since: epoch - 5000, Under: "recommendations/use"},
		{Key: "guest_mode", Value: "true", Decided: cardea.Point{Era: 1, Seq: 4}, Source: cardea.ChannelBrand, Since: epoch - 1000, ValidUntil: epoch + 1000},
		{Key: "language", Value: `"de"`},
	}
}

// Each value says where it was set, when, and for which purpose.
func TestPreferencesSayWhereFrom(t *testing.T) {
	h := newHouse(t)
	h.state(t, told()...)
	want := fmt.Sprintf(`[{"key":"genres","value":["jazz","news"],"source":"portal","since":%d,"purpose":"recommendations"},`+
		`{"key":"guest_mode","value":true,"source":"brand","since":%d,"valid_until":%d},`+
		`{"key":"language","value":"de","source":"default"}]`, epoch-5000, epoch-1000, epoch+1000)
	if got := shown(t, h, "/v1/preferences"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := shown(t, h, "/v1/preferences?purpose=recommendations"); !strings.HasPrefix(got, `[{"key":"genres"`) || strings.Contains(got, "language") {
		t.Errorf("of one purpose: %s", got)
	}
	if got := shown(t, h, "/v1/preferences?purpose=weather"); got != "[]" {
		t.Errorf("of no purpose here: %s", got)
	}
	if status, _ := h.send(t, "GET", "/v1/preferences?purpos=recommendations", ""); status != 400 {
		t.Errorf("a parameter there is not: %d", status)
	}
}

// What is under a consent is absent, not null, from the moment that is stopped
// here, and from a program that has nothing to do with the purpose; what is over
// is gone, and while the time is not known too.
func TestPreferenceIsAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		change func(h *house, c *client.Client) error
		absent string
	}{
		"stopped here": {"", func(_ *house, c *client.Client) error {
			_, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "recommendations/use"})
			return err
		}, "genres"},
		"no word of the cloud for too long": {"", func(h *house, _ *client.Client) error {
			h.change(func() { h.now.Time += 3600_000 })
			return nil
		}, "genres guest_mode"},
		"over": {"", func(h *house, _ *client.Client) error {
			h.change(func() { h.now.Time = epoch + 1000 })
			return nil
		}, "guest_mode"},
		"the time is not known": {"", func(h *house, _ *client.Client) error {
			h.change(func() { h.now.Synced = false })
			return nil
		}, "genres guest_mode"},
		"a program without the purpose": {
			`name = "screen"` + "\nuser = \"%d\"\n" + `entitlements = ["prefs", "events"]` + "\n" + `preferences = ["*"]`,
			func(*house, *client.Client) error { return nil }, "genres",
		},
	} {
		file := everything
		if c.file != "" {
			file = c.file
		}
		h := newHouse(t, fmt.Sprintf(file, os.Getuid()))
		h.state(t, told()...)
		next := watching(t, h, 0)
		if err := c.change(h, h.client(t)); err != nil {
			t.Fatal(err)
		}
		got := shown(t, h, "/v1/preferences")
		for _, p := range told() {
			want := !strings.Contains(" "+c.absent+" ", " "+string(p.Key)+" ")
			if strings.Contains(got, `"key":"`+string(p.Key)+`"`) != want {
				t.Errorf("%s: %s is there: %t\n%s", name, p.Key, !want, got)
			}
		}
		for e := next(); len(e.Preferences) != 3-len(strings.Fields(c.absent)); e = next() {
		}
	}
}

// What is absent can not be set either: nothing may be kept for it.
func TestAbsentPreferenceIsNotSet(t *testing.T) {
	h := newHouse(t)
	h.state(t, told()...)
	c := h.client(t)
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "recommendations/use"}); err != nil {
		t.Fatal(err)
	}
	_, err := c.SetPreference(t.Context(), client.PreferenceChange{Key: "genres", Value: json.RawMessage(`["jazz"]`)})
	if code(err) != "unknown_preference" {
		t.Errorf("told: %v", err)
	}
}

// A value of any type can be set in any writing, and stands in its shortest form.
func TestPreferenceValues(t *testing.T) {
	h := newHouse(t)
	h.state(t, told()...)
	for in, want := range map[string]string{
		`[ "news","\u006aazz"]`: `["jazz","news"]`, `[]`: `[]`, `"<b>"`: `"<b>"`, ` 2.10e1`: "21", `9007199254740993`: "9007199254740993",
	} {
		if status, answer := h.send(t, "PUT", "/v1/preferences", `{"key":"genres","value":`+in+`}`); status != 200 {
			t.Errorf("%s: %d %s", in, status, answer)
		}
		if acts := h.acts(); acts[len(acts)-1] != "prefer genres "+want+" device from 9" {
			t.Errorf("%s became %q", in, acts[len(acts)-1])
		}
	}
	if got := shown(t, h, "/v1/preferences"); !strings.Contains(got, `"source":"device"`) {
		t.Errorf("what was set here does not say so: %s", got)
	}
	before := len(h.acts())
	for name, value := range map[string]string{
		"twice": `["a","a"]`, "null": `null`, "null within": `["a",null]`, "a number within": `["a",1]`, "an object": `{}`,
		"nested": `[["a"]]`, "10 KB": `"` + strings.Repeat("x", 10<<10) + `"`, "10 KB of a set": `["` + strings.Repeat("x", 10<<10) + `"]`,
	} {
		if status, answer := h.send(t, "PUT", "/v1/preferences", `{"key":"genres","value":`+value+`}`); status != 400 || !strings.Contains(answer, "value") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if len(h.acts()) != before {
		t.Errorf("decided: %q", h.acts()[before:])
	}
}

// What a newer cloud states is shown to who may see it, and breaks nothing: a
// program asks for the keys it knows.
func TestPreferenceOfANewerCloud(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"old\"\nuser = \"%d\"\nentitlements = [\"prefs\", \"decide\"]\npreferences = [\"language\"]\npurposes = [\"*\"]", os.Getuid()))
	h.state(t,
		cardea.Preference{Key: "hologram.depth", Value: "3"},
		cardea.Preference{Key: "language", Value: `"de"`, Source: "of_a_newer_cloud", Since: epoch},
		cardea.Preference{Key: "teleport", Value: "true", Under: "beaming/use"})
	if got := shown(t, h, "/v1/preferences"); got != fmt.Sprintf(`[{"key":"language","value":"de","source":"of_a_newer_cloud","since":%d}]`, epoch) {
		t.Errorf("an old program sees %s", got)
	}
	a, err := h.client(t).Decide(t.Context(), "beaming/use", cardea.UseCollect)
	if err != nil || a.Verdict != cardea.Deny || a.Reason != cardea.ReasonUnknown {
		t.Errorf("a purpose nobody knows: %+v, %v", a, err)
	}
}
