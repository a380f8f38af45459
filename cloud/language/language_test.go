package language_test

import (
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/language"
)

func of(t testing.TB, tag string) *language.Language {
	t.Helper()
	l, ok := language.Of(tag)
	if !ok {
		t.Fatalf("no language %q", tag)
	}
	return l
}

func TestWhichLanguageIsSpoken(t *testing.T) {
	for _, c := range []struct{ chosen, accept, want string }{
		{"", "", "en"},
		{"", "de-AT,de;q=0.9,en;q=0.8", "de"},
		{"", "fi,sv;q=0.9", "en"},
		{"", "fi;q=0.9, ja;q=0.2", "ja"},
		{"", "ko-KR", "ko"},
		{"", "th-TH-u-ca-buddhist", "th"},
		{"", "en-GB", "en"},
		{"", "*", "en"},
		{"", "not a header at all", "en"},
		{"", "de;q=0, ja", "ja"},
		{"th", "de", "th"},
		{"xx", "de", "de"},
		{"DE", "ja", "ja"},
		{"", strings.Repeat("de,", 100_000), "en"},
	} {
		if got := language.For(c.chosen, c.accept).Tag(); got != c.want {
			t.Errorf("chosen %q, Accept-Language %.40q: %s, want %s", c.chosen, c.accept, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	var names []string
	for _, l := range language.All() {
		names = append(names, l.Name())
	}
	if got := strings.Join(names, " "); got != "English Deutsch 한국어 ไทย 日本語" {
		t.Errorf("languages %s", got)
	}
	for tag, want := range map[string]string{"fi": "suomi", "fr": "français", "xx!": "xx!", "qqq": "qqq"} {
		if got := language.NameOf(tag); got != want {
			t.Errorf("%s is %q, want %q", tag, got, want)
		}
	}
	for tag, want := range map[string]string{"en": "Sweden", "de": "Schweden", "ko": "스웨덴", "th": "สวีเดน", "ja": "スウェーデン"} {
		if got := of(t, tag).Country("SE"); got != want {
			t.Errorf("%s: Sweden is %q", tag, got)
		}
		if got := of(t, tag).Country("not a country"); got != "not a country" {
			t.Errorf("%s: %q", tag, got)
		}
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestMoments(t *testing.T) {
	for tag, want := range map[string][]string{
		"en": {"14:20 UTC", "12:00 UTC on 3 Dec", "12:00 UTC on 2 Jan 2027", "2 Jan 2027", "1 minute ago", "on 2 Nov 2026", "12:05 UTC (in 5 minutes)", "yesterday"},
		"de": {"14:20 UTC", "12:00 UTC am 3. Dez.", "12:00 UTC am 2. Jan. 2027", "2. Jan. 2027", "vor 1 Minute", "am 2. Nov. 2026", "12:05 UTC (in 5 Minuten)", "gestern"},
		"ko": {"14:20 UTC", "12월 3일 12:00 UTC", "2027년 1월 2일 12:00 UTC", "2027년 1월 2일", "1분 전", "2026년 11월 2일", "12:05 UTC (5분 후)", "어제"},
		"th": {"14:20 น. UTC", "3 ธ.ค. 12:00 น. UTC", "2 ม.ค. 2570 12:00 น. UTC", "2 ม.ค. 2570", "1 นาทีที่แล้ว", "เมื่อวันที่ 2 พ.ย. 2569", "12:05 น. UTC (อีก 5 นาที)", "เมื่อวาน"},
		"ja": {"14:20 UTC", "12月3日 12:00 UTC", "2027年1月2日 12:00 UTC", "2027年1月2日", "1分前", "2026年11月2日", "12:05 UTC (5分後)", "昨日"},
	} {
		l := of(t, tag)
		newYear := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
		got := []language.Moment{
			l.Clock(noon.Add(140*time.Minute), noon), l.Clock(noon.AddDate(0, 0, 11), noon), l.Clock(newYear, noon), l.Day(newYear),
			l.Ago(noon.Add(-90*time.Second), noon), l.Ago(noon.AddDate(0, 0, -20), noon), l.By(noon.Add(4*time.Minute+time.Millisecond), noon),
			l.OnDay(noon.AddDate(0, 0, -1), noon),
		}
		for i := range want {
			if got[i].String() != want[i] {
				t.Errorf("%s: %q, want %q", tag, got[i], want[i])
			}
		}
	}
}

// What is said of the end of something is never before it, whatever the second.
func TestByIsNeverEarly(t *testing.T) {
	l := of(t, "en")
	for _, end := range []time.Duration{0, time.Millisecond, time.Second, 59 * time.Second, 60 * time.Second, 61 * time.Second, 24*time.Hour - 1} {
		m := l.By(noon.Add(end), noon)
		said, err := time.Parse("15:04 UTC", m.Text[strings.LastIndex(m.Text, ", ")+1:])
		if err != nil {
			said, err = time.Parse("15:04 UTC on 2 Jan", m.Text)
		}
		if err != nil {
			t.Fatal(err)
		}
		if until := noon.Add(end); said.Hour()*60+said.Minute() < until.Hour()*60+until.Minute() && said.YearDay() <= until.YearDay() && said.YearDay() != 1 {
			t.Errorf("%s: %s is early", until, m.Text)
		}
		if exact := noon.Add(end).Format("2006-01-02T15:04:05.000Z"); m.Datetime != exact {
			t.Errorf("datetime %s, want %s", m.Datetime, exact)
		}
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "30 Sekunden", time.Minute: "1 Minute", time.Hour: "1 Stunde", 24 * time.Hour: "24 Stunden",
		48 * time.Hour: "2 Tage", 8760 * time.Hour: "1 Jahr", 17520 * time.Hour: "2 Jahre", 90 * time.Minute: "90 Minuten",
	} {
		if got := of(t, "de").Span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Second: "1 second", 14 * time.Second: "14 seconds", 10 * time.Minute: "10 minutes", 150 * time.Minute: "3 hours", 72 * time.Hour: "3 days"} {
		if got := of(t, "en").Roughly(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestLists(t *testing.T) {
	three := []string{"a", "b", "c"}
	for tag, want := range map[string]string{"en": "a, b or c", "de": "a, b oder c", "ko": "a, b 또는 c", "th": "a, b หรือ c", "ja": "a、bまたはc"} {
		if got := of(t, tag).Or(three); got != want {
			t.Errorf("%s: %q, want %q", tag, got, want)
		}
	}
	if got := of(t, "en").Or(three[:1]); got != "a" {
		t.Errorf("one: %q", got)
	}
	for text, want := range map[string]string{"recordings": "Recordings.", "Really?": "Really?", "": "", "äh": "Äh."} {
		if got := of(t, "de").Sentence(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := of(t, "ja").Sentence("録音"); got != "録音。" {
		t.Errorf("Japanese: %q", got)
	}
	if got := of(t, "th").Sentence("เสียง"); got != "เสียง" {
		t.Errorf("Thai: %q", got)
	}
}

// page renders one template in English with v as its dot.
func page(t *testing.T, text string, v any) string {
	t.Helper()
	var out strings.Builder
	if err := template.Must(template.New("").Funcs(of(t, "en").Funcs()).Parse(text)).Execute(&out, v); err != nil {
		return "error: " + err.Error()
	}
	return out.String()
}

func TestInTemplates(t *testing.T) {
	l := of(t, "en")
	for _, c := range []struct {
		text string
		v    any
		want string
	}{
		{`<p>{{t "time.span.day" "Count" .}}</p>`, 1, `<p>1 day</p>`},
		{`<p>{{t "time.span.day" "Count" .}}</p>`, 3, `<p>3 days</p>`},
		{`{{t "page.or" "Rest" "a" "Last" .}}`, `<b>"x"`, `<bdi>a</bdi> or <bdi>&lt;b&gt;&#34;x&#34;</bdi>`},
		{`<a title="{{t "page.or" "Rest" "a" "Last" .}}">`, `<b>"x"`, `<a title="a or &lt;b&gt;&#34;x&#34;">`},
		{`{{t "page.or" "Rest" "a" "Last" .}}`, l.By(noon.Add(time.Hour), noon), `<bdi>a</bdi> or <time datetime="2026-11-22T13:00:00.000Z">13:00 UTC</time> <span class="aside">(in 60 minutes)</span>`},
		{`{{t "page.or" "Rest" "a" "Last" .}}`, template.HTML("<i>x</i>"), `<bdi>a</bdi> or <i>x</i>`},
		{`{{pick "time.span" . "Count" 2}}`, "hour", `2 hours`},
		{`{{lang}}`, nil, `en`},
	} {
		if got := page(t, c.text, c.v); got != c.want {
			t.Errorf("%s of %v:\n%s\nwant\n%s", c.text, c.v, got, c.want)
		}
	}
	for _, c := range []string{`{{t "time.nonsense"}}`, `{{t "page.or" "Rest" "a"}}`, `{{t "page.or" "Rest"}}`, `{{t "page.or" 1 2}}`, `{{t "page.or" "Rest" "a" "Last" .}}`, `{{pick "time" "nonsense"}}`} {
		if got := page(t, c, struct{}{}); !strings.HasPrefix(got, "error: ") {
			t.Errorf("%s: %s, want an error", c, got)
		}
	}
}

// A word that is missing does not take a page away.
func TestTextWithoutAMessage(t *testing.T) {
	l := of(t, "ko")
	for key, pairs := range map[string][]any{"no.such": nil, "page.or": {"Rest", "a"}, "page.comma": {"odd"}} {
		if got := l.Text(key, pairs...); got != key {
			t.Errorf("%s: %q", key, got)
		}
	}
}
