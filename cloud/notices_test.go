package cloud_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/cardea-id/cardea"
)

// A device can show what the owner is asked: a version of a purpose comes with all
// that its notice is the hash of, to anybody, and nothing else comes.
func TestNotices(t *testing.T) {
	c := config(t)
	defer start(t, c)()
	for path, want := range map[string]int{
		"recommendations/1": 200, "recommendations/4294967295": 404, "recommendations/0": 404, "recommendations/x": 404,
		"recommendations/-1": 404, "none/1": 404, "recommendations/1/x": 404, "recommendations": 404, "": 404,
	} {
		res, err := http.Get(c.Issuer + "/v1/notices/" + path)
		if err != nil {
			t.Fatal(err)
		}
		var p cardea.Purpose
		err = json.NewDecoder(res.Body).Decode(&p)
		res.Body.Close()
		if res.StatusCode != want || err != nil {
			t.Errorf("%s: %d, %v", path, res.StatusCode, err)
		}
		if want != 200 {
			continue
		}
		if p.ID != "recommendations" || p.Version != 1 || len(p.Texts) == 0 || res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %+v", path, p)
		}
		for lang := range p.Texts {
			if p.Notice(lang).IsZero() || p.Texts[lang].Facets[cardea.FacetUse] == "" {
				t.Errorf("%s: %s is not whole: %+v", path, lang, p.Texts[lang])
			}
		}
	}
}
