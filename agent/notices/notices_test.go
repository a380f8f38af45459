package notices_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/notices"
)

func purpose() cardea.Purpose {
	return cardea.Purpose{
		ID: "voice", Version: 3, Change: cardea.ChangeMaterial, ReconsentBy: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC),
		Class: cardea.ClassA, Validity: 365 * 24 * time.Hour, Data: []string{"voice"}, Countries: []string{"DE", "US"}, Retention: "30 days",
		Recipients: []cardea.Recipient{{Name: "Ears Ltd", Relation: cardea.RelationThirdParty, Country: "US", Sold: true}},
		Facets:     []cardea.Facet{cardea.FacetUse},
		Texts: map[string]cardea.Text{
			"en": {Title: "Voice", Facets: map[cardea.Facet]string{"use": "May we?"}},
			"de": {Title: "Sprache", What: "Was Sie sagen", Changed: "Neu", Words: map[string]string{"voice": "Stimme", "30 days": "30 Tage", "Ears Ltd": "Ohren AG"}, Facets: map[cardea.Facet]string{"use": "Dürfen wir?"}},
		},
	}
}

// A cloud answers as a test has it, and counts.
type cloud struct {
	*httptest.Server
	asked  []string
	answer func(w http.ResponseWriter)
}

func newCloud(t *testing.T) (*cloud, *notices.Source) {
	c := &cloud{answer: func(w http.ResponseWriter) { json.NewEncoder(w).Encode(purpose()) }}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked = append(c.asked, r.URL.String())
		c.answer(w)
	}))
	t.Cleanup(c.Close)
	return c, notices.New(c.Client())
}

// What is shown is what the cloud has, and the hash that is named is that of the
// purpose there. It is fetched once.
func TestNotice(t *testing.T) {
	c, s := newCloud(t)
	for lang, want := range map[string]string{"de": "de", "de-CH": "de", "en": "en", "": "en", "tlh": "en", "../x": "en"} {
		n, err := s.Notice(t.Context(), c.URL+"/", "voice/use", 3, lang)
		if err != nil || n.Language != want || n.Notice != purpose().Notice(want) || !purpose().ShowsNotice(n.Notice) {
			t.Errorf("%q: %+v, %v", lang, n, err)
		}
		if want == "de" && (n.Question != "Dürfen wir?" || n.Title != "Sprache" || n.Changed != "Neu" || n.ValidDays != 365 || len(n.Recipients) != 1 || !n.Recipients[0].Sold) {
			t.Errorf("%+v", n)
		}
		if said := n.Data[0] + n.Recipients[0].Name + n.Retention; want == "de" && said != "StimmeOhren AG30 Tage" || want == "en" && said != "voiceEars Ltd30 days" {
			t.Errorf("in %s it says %q", want, said)
		}
	}
	if len(c.asked) != 1 || c.asked[0] != "/v1/notices/voice/3" {
		t.Errorf("asked: %q", c.asked)
	}
	c.Close()
	if _, err := s.Notice(t.Context(), c.URL, "voice/use", 3, "de"); err != nil {
		t.Errorf("without the cloud: %v", err)
	}
	if _, err := s.Notice(t.Context(), c.URL, "voice/use", 4, "de"); !errors.Is(err, notices.ErrOffline) {
		t.Errorf("of another version without the cloud: %v", err)
	}
}

// An answer that is about something else, or none, is no notice, and is not kept.
func TestBadNotices(t *testing.T) {
	other := func(change func(*cardea.Purpose)) func(http.ResponseWriter) {
		p := purpose()
		change(&p)
		return func(w http.ResponseWriter) { json.NewEncoder(w).Encode(p) }
	}
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code); io.WriteString(w, "{}") }
	}
	for why, bad := range map[string]struct {
		answer func(http.ResponseWriter)
		want   error
	}{
		"another purpose": {other(func(p *cardea.Purpose) { p.ID = "ads" }), notices.ErrNone},
		"another version": {other(func(p *cardea.Purpose) { p.Version = 2 }), notices.ErrNone},
		"no texts":        {other(func(p *cardea.Purpose) { p.Texts = nil }), notices.ErrNone},
		"another facet":   {other(func(p *cardea.Purpose) { p.Facets = []cardea.Facet{cardea.FacetSale} }), notices.ErrNone},
		"nothing":         {func(http.ResponseWriter) {}, notices.ErrNone},
		"no JSON":         {func(w http.ResponseWriter) { io.WriteString(w, "<html>") }, notices.ErrNone},
		"a wrong type":    {func(w http.ResponseWriter) { io.WriteString(w, `{"version":"3"}`) }, notices.ErrNone},
		"a huge one":      {func(w http.ResponseWriter) { io.WriteString(w, `{"id":"`+strings.Repeat("a", 1<<20)+`"}`) }, notices.ErrNone},
		"not found":       {status(404), notices.ErrNone},
		"refused":         {status(403), notices.ErrNone},
		"too much":        {status(429), notices.ErrOffline},
		"down":            {status(503), notices.ErrOffline},
	} {
		c, s := newCloud(t)
		good := c.answer
		c.answer = bad.answer
		if n, err := s.Notice(t.Context(), c.URL, "voice/use", 3, "de"); !errors.Is(err, bad.want) {
			t.Errorf("%s: %+v, %v", why, n, err)
		}
		c.answer = good
		if _, err := s.Notice(t.Context(), c.URL, "voice/use", 3, "de"); err != nil {
			t.Errorf("%s, and then a good one: %v", why, err)
		}
	}
}

// However many there are, what is kept is bounded.
func TestKeepsFew(t *testing.T) {
	c, s := newCloud(t)
	for range 3 {
		for version := range uint32(20) {
			p := purpose()
			p.Version = version
			c.answer = func(w http.ResponseWriter) { json.NewEncoder(w).Encode(p) }
			if _, err := s.Notice(t.Context(), c.URL, "voice/use", version, "de"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(c.asked) != 60 {
		t.Errorf("asked %d times", len(c.asked))
	}
}

func FuzzNotice(f *testing.F) {
	whole, err := json.Marshal(purpose())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, "de")
	f.Add([]byte(`{"id":"voice","version":3,"facets":["use"],"texts":{"":{}}}`), "")
	f.Add([]byte(`null`), "en")
	f.Fuzz(func(t *testing.T, answer []byte, lang string) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(answer) }))
		defer server.Close()
		n, err := notices.New(server.Client()).Notice(t.Context(), server.URL, "voice/use", 3, lang)
		if err == nil && (n.Notice.IsZero() || n.Key != "voice/use" || n.Version != 3) {
			t.Errorf("%q: %+v", answer, n)
		}
	})
}
