package demo

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/authority"
	"github.com/cardea-id/cardea/internal/stage"
)

// A phone gets the certificate whose fingerprint the terminal shows.
func TestTrust(t *testing.T) {
	a, err := authority.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{stage: &stage.Stage{Config: stage.Config{Host: "127.0.0.1"}, Authority: a, CAFile: "/somewhere/ca.pem"}}
	if note := d.trustNote(); !strings.Contains(note, "curl --cacert /somewhere/ca.pem") {
		t.Error(note)
	}
	g, err := d.giveAuthority()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(d.gift)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	der, err := io.ReadAll(answer.Body)
	if err != nil || answer.Header.Get("Content-Type") != "application/x-x509-ca-cert" {
		t.Errorf("%v, %v", answer.Header, err)
	}
	note := d.trustNote()
	shown := strings.NewReplacer(":", "", " ", "", "\n", "").Replace(note)
	if !strings.Contains(note, d.gift) || !strings.Contains(shown, fmt.Sprintf("%X", sha256.Sum256(der))) {
		t.Errorf("the phone got %X, the terminal says %s", sha256.Sum256(der), note)
	}
	g.Close()
	if _, err := http.Get(d.gift); err == nil {
		t.Error("it is handed out after the end")
	}
}
