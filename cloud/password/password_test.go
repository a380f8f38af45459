package password_test

import (
	"testing"

	"github.com/cardea-id/cardea/cloud/password"
)

func TestPasswords(t *testing.T) {
	p := password.New(2)
	for _, c := range []struct {
		hash  string
		fails bool
	}{
		{"", false}, {"x", true}, {"$argon2id$v=19$m=19456,t=2,p=1$", true},
		{"$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true},
		{"$argon2id$v=19$m=19456,t=2,p=1$!AAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true},
		{"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
	} {
		right, err := p.Check(t.Context(), "the hinge turns quietly", c.hash)
		if right || (err != nil) != c.fails {
			t.Errorf("%q: %v, %v", c.hash, right, err)
		}
	}
}
