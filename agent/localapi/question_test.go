package localapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/cardea-id/cardea/agent/client"
)

// What is taken without the decoder is what the decoder would have made of it.
func FuzzPlain(f *testing.F) {
	for _, body := range []string{
		`{"key":"a/use","use":"collect"}`, `{"key":"a/use"}`, `{"key":"a/use"}` + "\n", `{"key":"a\u002fuse"}`, `{"key":"a","use":"b","use":"c"}`,
		`{"key":"a"},`, `{"key":"a","use":"b"}}`, `{"key":"ä"}`, `{"key":"a/use","link":"x"}`, `{"key":"`, `{"key":"a","use":"`, `{"key":"a"`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, ok := plain(body)
		if !ok {
			return
		}
		var want client.DecideRequest
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil || d.More() {
			t.Fatalf("%q is taken, and not by the decoder: %v", body, err)
		}
		if q.Key != want.Key || q.Use != want.Use || want.Queries != nil || !want.Link.IsZero() {
			t.Errorf("%q: %+v, by the decoder %+v", body, q, want)
		}
	})
}

// The forms programs send are taken.
func TestPlain(t *testing.T) {
	made, err := json.Marshal(client.DecideRequest{Key: "a/use", Use: "egress"})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{string(made), `{"key":"a/use","use":"egress"}`} {
		if q, ok := plain([]byte(body)); !ok || q.Key != "a/use" || q.Use != "egress" {
			t.Errorf("%s: %+v, %v", body, q, ok)
		}
	}
	if q, ok := plain([]byte(`{"key":"a/use"}`)); !ok || q.Key != "a/use" || q.Use != "" {
		t.Errorf("without a use: %+v, %v", q, ok)
	}
}
