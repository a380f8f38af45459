package issuer

import (
	"crypto/sha256"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

// A proved is a key that was proved for a request, or none.
type proved struct {
	jkt string // empty: no proof was sent
	ids []pairing.ProofID
}

// prove checks the DPoP proof of a request to path, if there is one (RFC 9449,
// Section 5). It must carry our nonce, which tells its age without a clock on
// the device. That it was not used before is checked where its id is recorded.
func (i *Issuer) prove(r request, path string) (proved, error) {
	switch headers := r.Header.Values("DPoP"); len(headers) {
	case 0:
		return proved{}, nil
	case 1:
		proof, err := jose.VerifyProof(headers[0], r.Method, i.config.Issuer+path, "")
		if err != nil {
			return proved{}, failure(pairing.InvalidDPoPProof, "the proof is not for this request, or not signed with its key")
		}
		id, err := i.fresh(proof.Nonce, proof.JKT, proof.JTI, r.at)
		if err != nil {
			return proved{}, err
		}
		return proved{proof.JKT, []pairing.ProofID{id}}, nil
	}
	return proved{}, failure(pairing.InvalidDPoPProof, "there is more than one DPoP header") // Section 4.3, number 1
}

// fresh checks a nonce and returns the id under which what carries it can be
// used once.
func (i *Issuer) fresh(nonce, jkt, jti string, now time.Time) (pairing.ProofID, error) {
	until, ok := i.config.Tokens.CheckNonce(nonce, now)
	if !ok {
		return pairing.ProofID{}, failure(pairing.UseDPoPNonce, "make the proof with the nonce in the DPoP-Nonce header")
	}
	return pairing.ProofID{Hash: sha256.Sum256([]byte(jkt + " " + jti)), Until: cardea.MillisOf(until)}, nil
}
