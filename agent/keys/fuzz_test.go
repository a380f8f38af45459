package keys

import (
	"testing"

	"github.com/cardea-id/cardea/internal/jose"
)

func FuzzParse(f *testing.F) {
	f.Add(format(jose.GenerateKey(), hashName("one")))
	f.Add(format(jose.GenerateKey(), ""))
	f.Add([]byte("machine: \n-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, _, err := parse(text)
		if err == nil && (k.ID() == "" || k.SealKey() == [32]byte{}) {
			t.Error("a key without an identity")
		}
	})
}
