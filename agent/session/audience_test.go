package session

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/cardea-id/cardea/pairing"
)

// A token may open what was asked for and nothing beside it.
func TestATokenOpensNothingElse(t *testing.T) {
	const id, music = "https://id.example", "https://music.example"
	s := &Session{cfg: Config{Client: &pairing.Client{Issuer: id}}}
	for _, test := range []struct {
		claims, audience string
		good             bool
	}{
		{`{"aud":"https://music.example"}`, music, true},
		{`{"aud":["https://music.example"]}`, music, true},
		{`{"aud":["https://music.example","https://bank.example"]}`, music, false},
		{`{"aud":["https://bank.example","https://music.example"]}`, music, false},
		{`{"aud":"https://bank.example"}`, music, false},
		{`{"aud":[]}`, music, false},
		{`{"aud":7}`, music, false},
		{`{}`, music, false},
		{`no claims`, music, false},
		{`{"aud":"https://id.example"}`, "", true},
		{`{"aud":"https://bank.example"}`, "", false},
		{`{"aud":["https://id.example","https://bank.example"]}`, "", false},
		{`{}`, "", true},
		{`no claims`, "", true},
	} {
		text := pairing.Secret("h." + base64.RawURLEncoding.EncodeToString([]byte(test.claims)) + ".s")
		err := s.forAudience(pairing.Tokens{AccessToken: text}, test.audience)
		if (err == nil) != test.good || err != nil && !errors.Is(err, ErrAudience) {
			t.Errorf("%s for %q: %v", test.claims, test.audience, err)
		}
	}
	if err := s.forAudience(pairing.Tokens{AccessToken: "opaque"}, music); !errors.Is(err, ErrAudience) {
		t.Errorf("an opaque token for one named: %v", err)
	}
}
