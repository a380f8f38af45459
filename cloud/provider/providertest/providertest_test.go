package providertest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/cardea-id/cardea/cloud/provider/providertest"
)

// The provider of the tests must itself refuse what a real one refuses, or tests
// against it would prove nothing.
func TestRefuses(t *testing.T) {
	p := providertest.New(t, "cardea")
	get := func(q url.Values) int {
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		r, err := client.Get(p.Issuer + "/authorize?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	asked := url.Values{"client_id": {"cardea"}, "code_challenge_method": {"S256"}, "code_challenge": {"x"}, "redirect_uri": {"https://id.example.com/back"}}
	if got := get(asked); got != http.StatusFound {
		t.Errorf("asked rightly: %d", got)
	}
	for _, name := range []string{"client_id", "code_challenge_method"} {
		q := url.Values{}
		for n, v := range asked {
			if n != name {
				q[n] = v
			}
		}
		if got := get(q); got != http.StatusBadRequest {
			t.Errorf("without %s: %d", name, got)
		}
	}
	r, err := http.PostForm(p.Issuer+"/token", url.Values{"code": {"made-up"}, "code_verifier": {"x"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusBadRequest {
		t.Errorf("a made-up code: %d", r.StatusCode)
	}
}
