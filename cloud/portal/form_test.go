package portal_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// Whatever is sent as a form, the answer is a page and no fault of ours.
func FuzzForms(f *testing.F) {
	h := portaltest.Open(f)
	b := h.Browser(f)
	b.Register()
	h.ASpeaker()
	token := b.Get("/pair?code=WDJB-MJHT").Form("Approve").Fields.Get("form")
	f.Add("/pair", "code=WDJB-MJHT&answer=approve&name=Kitchen")
	f.Add("/consents", "key=voice_clips/use&decision=deny&base=0.0.")
	f.Add("/preferences", "preference=volume&value=5&base=0.0.")
	f.Add("/preferences", "preference=volume&back=1&device=x&base=0.0.")
	f.Add("/communication", "preference=comm.quiet&from=21:00&to=08:00&base=0.0.")
	f.Add("/devices/unlink", "link=x")
	f.Add("/devices/confirm", "link=AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("/nowhere", "a=b;c=d&&=")
	f.Fuzz(func(t *testing.T, path, body string) {
		switch path {
		case "/signin", "/register": // each takes a hash
			return
		}
		u, err := url.Parse(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r := httptest.NewRequest("POST", "http://cardea.test/", strings.NewReader("form="+token+"&"+body))
		r.URL.Path = u.Path
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range b.Jar.Cookies(portaltest.Base) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Fatalf("%s %q: %s", path, body, w.Body)
		}
	})
}
