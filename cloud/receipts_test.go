package cloud_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// TestWhatEverybodyMayAsk: that the signal is honoured, and the keys of receipts.
func TestWhatEverybodyMayAsk(t *testing.T) {
	c := config(t)
	start(t, c)
	get := func(path string, out any) {
		t.Helper()
		r, err := http.Get(c.Issuer + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, out)
		}
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s %v", path, r.StatusCode, text, err)
		}
	}
	var gpc struct{ GPC bool }
	if get("/.well-known/gpc.json", &gpc); !gpc.GPC {
		t.Error("the signal is not honoured")
	}
	var keys struct{ Keys []struct{ Kid string } }
	if get("/receipts/keys", &keys); len(keys.Keys) != 1 || keys.Keys[0].Kid == "" {
		t.Errorf("%+v", keys)
	}
	if r, err := http.Get(c.Issuer + "/live"); err != nil || r.StatusCode != http.StatusNoContent {
		t.Errorf("a stranger's stream: %v %v", r, err)
	}
}
