package language_test

import (
	"testing"

	"github.com/cardea-id/cardea/cloud/language"
)

// A text carries its language where that is not the page's, alone and within a
// message.
func TestPhrases(t *testing.T) {
	l := of(t, "en")
	for _, c := range []struct {
		text string
		p    language.Phrase
		want string
	}{
		{`<p>{{.HTML}}</p>`, l.Phrase("a & b", "en"), `<p>a &amp; b</p>`},
		{`<p>{{.HTML}}</p>`, l.Phrase("a & b", "de"), `<p><span lang="de">a &amp; b</span></p>`},
		{`<p>{{.}}</p>`, l.Phrase("<b>", "de"), `<p>&lt;b&gt;</p>`},
		{`{{t "page.or" "Rest" "a" "Last" .}}`, l.Phrase("<b>", "ja"), `<bdi>a</bdi> or <bdi lang="ja">&lt;b&gt;</bdi>`},
		{`{{t "page.or" "Rest" "a" "Last" .}}`, l.Phrase("b", "en"), `<bdi>a</bdi> or <bdi>b</bdi>`},
		{`<a title="{{t "page.or" "Rest" "a" "Last" .}}">`, l.Phrase(`"x"`, `"de`), `<a title="a or &#34;x&#34;">`},
	} {
		if got := page(t, c.text, c.p); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
	if got := l.Text("page.or", "Rest", "a", "Last", l.Phrase("b", "de")); got != "a or b" {
		t.Errorf("as text: %q", got)
	}
}
