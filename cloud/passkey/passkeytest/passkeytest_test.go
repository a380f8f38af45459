package passkeytest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/passkey/passkeytest"
)

func TestPhoneMakesWhatIsAccepted(t *testing.T) {
	u, err := url.Parse("http://localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	k, err := passkey.New(passkey.Config{Issuer: u, Brand: "Hearth", Secret: []byte("secret")})
	if err != nil {
		t.Fatal(err)
	}
	ada := passkey.Person{Handle: []byte("somebody"), Name: "Ada"}
	asked, err := k.Creation(ada, cardea.Hash{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := passkeytest.New(t, "http://localhost:8080")
	if _, err := k.Create(ada, cardea.Hash{}, []byte(p.Create(t, string(asked))), time.Now()); err != nil {
		t.Error(err)
	}
}
