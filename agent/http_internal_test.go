package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A key list is fetched from a server that nobody vouches for, and from no other.
func TestAnyServer(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/v1/keys", http.StatusFound)
			return
		}
		io.WriteString(w, "list")
	}))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	web := Config{Issuer: s.URL}.anyServer()
	t.Cleanup(web.CloseIdleConnections)
	for path, want := range map[string]int{"/v1/keys": http.StatusOK, "/away": http.StatusFound} {
		res, err := web.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}
