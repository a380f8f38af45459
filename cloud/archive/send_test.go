package archive_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cardea-id/cardea/cloud/archive"
)

// A file that is not whole is not taken for one that is, and what fails before it
// is begun can be said.
func TestSend(t *testing.T) {
	broken := errors.New("broken")
	after := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := archive.Send(r.Context(), w, slog.New(slog.DiscardHandler), func(out io.Writer) error {
			for range after {
				if _, err := out.Write(make([]byte, 1<<10)); err != nil {
					return err
				}
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("returned %v", err)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer srv.Close()
	for _, after = range []int{0, 1000} {
		res, err := http.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if after == 0 && (err != nil || res.StatusCode != http.StatusTeapot || res.Header.Get("Content-Type") == "application/zip") {
			t.Errorf("failed at once: %d, %v", res.StatusCode, err)
		}
		if after > 0 && err == nil {
			t.Error("a file that is not whole arrives as if it were")
		}
	}
}
