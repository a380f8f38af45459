package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func parse(t *testing.T, text string) []webhook.Secret {
	t.Helper()
	all, err := webhook.ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The example that the libraries of Standard Webhooks share.
func TestSign(t *testing.T) {
	got := webhook.Sign(parse(t, secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
	if both := webhook.Sign(parse(t, secret+"\n\n"+other+"\n"), "msg", time.Unix(1, 0), nil); strings.Count(both, "v1,") != 2 || strings.Count(both, " ") != 1 {
		t.Errorf("with two: %s", both)
	}
}

func TestBadSecrets(t *testing.T) {
	for _, text := range []string{"", "\n", "secret", "whsec_", "whsec_!!!", "whsec_AAAA", secret + "\nsecret", "whsec_" + strings.Repeat("A", 200)} {
		if _, err := webhook.ParseSecrets(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	all := parse(t, secret)
	if text := fmt.Sprintf("%v %+v %#v %s", all, all, all, all[0]); strings.Contains(text, "49") || !strings.Contains(text, "redacted") {
		t.Error(text)
	}
}

// What arrives is signed over what arrives, and only a 2xx is a receipt.
func TestSend(t *testing.T) {
	status := http.StatusNoContent
	var id string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id = r.Header.Get("webhook-id")
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want || string(body) != `{"a":1}` || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v", body, r.Header)
		}
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
	}))
	defer srv.Close()
	s, err := webhook.New(srv.URL, parse(t, secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(context.Background(), "one", []byte(`{"a":1}`)); err != nil || id != "one" {
		t.Errorf("%s: %v", id, err)
	}
	for _, status = range []int{302, 400, 410, 500} {
		if err := s.Send(context.Background(), "two", []byte(`{"a":1}`)); !errors.Is(err, webhook.ErrRefused) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://data.example.com/in": true, "http://127.0.0.1:8080": true, "http://localhost/x": true,
		"http://data.example.com": false, "ftp://x": false, "": false, "https://user:pass@data.example.com": false,
	} {
		if _, err := webhook.New(address, parse(t, secret), nil); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}
