package session

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
)

func FuzzLink(f *testing.F) {
	root := jose.GenerateKey()
	list := wire.KeyList{Version: 1, NotAfter: 4e12}
	list.Keys = append(list.Keys, jose.GenerateKey().Public())
	keys, err := wire.SignKeyList(list, root.Signer())
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(map[string]any{
		"link": cardea.NewID[cardea.LinkID](), "link_key": wire.NewLinkKey(), "root": jose.JWK(root.Public()),
		"keys": base64.RawURLEncoding.EncodeToString(keys), "mqtt": map[string]string{"url": "tls://m.example:8883"},
		"up": "https://c.example/v1/up", "name": "Kitchen",
	})
	if err != nil {
		f.Fatal(err)
	}
	if _, _, err := parseLink(good, "https://c.example"); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"root":{"kty":"EC"},"mqtt":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, down, err := parseLink(body, "https://c.example")
		if err == nil && (l.ID.IsZero() || l.Key == [32]byte{} || len(l.KeyList) == 0 || l.UpURL == "" || len(down) > cardea.MaxMessageBytes) {
			t.Errorf("took %+v", l)
		}
	})
}

func FuzzAudiences(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJhdWQiOiJhIn0.")
	f.Add("a.eyJhdWQiOlsiYSIsImIiXX0.b")
	f.Fuzz(func(t *testing.T, token string) {
		if len(audiences(pairing.Secret(token), "c")) == 0 {
			t.Errorf("%q is for nobody, and so would pass for anybody's", token)
		}
	})
}
