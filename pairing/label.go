package pairing

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/jose"
)

// A Label is what is printed on a device that has no screen: 20 letters of the
// alphabet of user codes, 86 bits, in fives of four. It is the thumbprint of the
// device's label key, so that only that device can say that it is the one under
// the label. It opens nothing: who reads it can only ask.
type Label string

// ErrInvalidLabel is returned for text that can not be a label.
var ErrInvalidLabel = errors.New("not a label: twenty letters, no vowels and no digits")

const labelLetters = 20

// Presses of the device's button that an owner can be asked for. One is what an
// impatient finger does, and never right.
const (
	MinPresses = 2
	MaxPresses = 5
)

// LabelOf is the label of a label key.
func LabelOf(pub *ecdsa.PublicKey) Label {
	return shownLabel(lettersOf(sha256.Sum256([]byte("cardea label "+jose.Thumbprint(pub))), labelLetters))
}

// ParseLabel reads a label as it stands in an address or is typed.
func ParseLabel(text string) (Label, error) {
	letters := make([]byte, 0, labelLetters)
	for _, r := range strings.ToUpper(text) {
		if r == '-' || r == ' ' {
			continue
		}
		if r > 'Z' || strings.IndexByte(alphabet, byte(r)) < 0 || len(letters) == labelLetters {
			return "", ErrInvalidLabel
		}
		letters = append(letters, byte(r))
	}
	if len(letters) != labelLetters {
		return "", ErrInvalidLabel
	}
	return shownLabel(letters), nil
}

func shownLabel(letters []byte) Label {
	var groups []string
	for i := 0; i < len(letters); i += 4 {
		groups = append(groups, string(letters[i:i+4]))
	}
	return Label(strings.Join(groups, "-"))
}

// Address is where a label leads its finder at an issuer's, in capitals, of
// which a QR code holds more. The page takes it in any case.
func (l Label) Address(issuer string) string {
	return strings.ToUpper(issuer) + PathLabel + strings.ReplaceAll(string(l), "-", "")
}

// PathLabel is where labels lead, with the label as the rest of the path.
const PathLabel = "/L/"

// TypeLabel is the type of the assertion that binds a device to its label.
const TypeLabel = "cardea-label+jwt"

// A LabelAssertion is what the label key signs when a device asks for a code:
// that the device with the key JKT, which proves itself in the same request, is
// the one under the label. Nonce is the server's, so that whoever could once sign
// can not go on doing so from elsewhere.
type LabelAssertion struct {
	Audience string `json:"aud"`
	JKT      string `json:"jkt"`
	Nonce    string `json:"nonce"`
}

// VerifyLabel reads the assertion of a device with the key jkt and returns its
// label. Whether the nonce is fresh is the caller's to see.
func VerifyLabel(text, audience, jkt string) (Label, string, error) {
	var a LabelAssertion
	pub, err := jose.VerifyEmbedded(text, TypeLabel, &a)
	if err != nil {
		return "", "", fmt.Errorf("label: %w", err)
	}
	if a.Audience != audience || jkt == "" || a.JKT != jkt {
		return "", "", fmt.Errorf("label: %w: it is for another server or another device", ErrInvalidLabel)
	}
	return LabelOf(pub), a.Nonce, nil
}

// startLabelled asks for a code under the device's label. The assertion carries
// the nonce as the proof does, so it is signed anew for each.
func (c *Client) startLabelled(ctx context.Context, endpoint string, form url.Values) ([]byte, error) {
	at, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: device authorization endpoint", ErrMalformed)
	}
	var body []byte
	for range maxTries {
		text, err := c.assertLabel(c.nonce(at))
		if err != nil {
			return nil, err
		}
		form.Set("device_label", text)
		if body, err = c.post(ctx, endpoint, form, true, 0); !HasCode(err, UseDPoPNonce) {
			return body, err
		}
	}
	return nil, &Error{Code: UseDPoPNonce, Status: 400}
}

func (c *Client) assertLabel(nonce string) (string, error) {
	pub, ok := c.Label.Public().(*ecdsa.PublicKey)
	if !ok || c.public() == nil {
		return "", ErrNoKey
	}
	header := map[string]any{"typ": TypeLabel, "jwk": json.RawMessage(jose.JWK(pub))}
	text, err := jose.Sign(c.Label, header, LabelAssertion{c.Issuer, jose.Thumbprint(c.public()), nonce})
	if err != nil {
		return "", fmt.Errorf("sign the label: %w", err)
	}
	return text, nil
}

// Confirm is the device's button, pressed so often after its owner said yes: it
// gives the tokens, or an [Error], [AccessDenied] if the owner was told another
// number. A pairing without a label needs none.
func (c *Client) Confirm(ctx context.Context, code Secret, presses int) (Tokens, error) {
	form := url.Values{
		"grant_type": {GrantDeviceCode}, "device_code": {code.Reveal()}, "client_id": {c.ClientID},
		"device_presses": {strconv.Itoa(presses)},
	}
	return c.tokens(ctx, form, 0)
}
