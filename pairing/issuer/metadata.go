package issuer

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
)

// metadata is RFC 8414, Section 3.2 and, at its other place, what OpenID
// Connect Discovery 1.0, Section 3 needs for clients that look only there.
func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	web.JSON(w, http.StatusOK, i.Metadata())
}

// Metadata is what the issuer publishes of itself.
func (i *Issuer) Metadata() pairing.Metadata {
	base := i.config.Issuer
	// The scope of a device's own token is not among them: clients that ask for
	// all they find here would be refused.
	var scopes []string
	for _, client := range i.config.Clients {
		scopes = append(scopes, client.Scopes...)
	}
	slices.Sort(scopes)
	m := pairing.Metadata{
		Issuer:                      base,
		DeviceAuthorizationEndpoint: base + PathDeviceAuthorization,
		TokenEndpoint:               base + PathToken,
		JWKSURI:                     base + PathJWKS,
		ScopesSupported:             slices.Compact(scopes),
		ResponseTypesSupported:      []string{}, // there is no authorization endpoint
		GrantTypesSupported:         []string{pairing.GrantDeviceCode, pairing.GrantRefreshToken, pairing.GrantClientCredentials},
		// Basic with an empty secret: several clients look for it here. The last
		// is the device's assertion.
		TokenAuthMethods: []string{"none", "client_secret_basic", "private_key_jwt"},
		TokenAuthAlgs:    []string{"ES256"},
		DPoPAlgs:         []string{"ES256"},
		SubjectTypes:     []string{"public"},
		IDTokenAlgs:      []string{"ES256"},

		RevocationEndpoint:    base + PathRevocation,
		RevocationAuthMethods: []string{"none", "client_secret_basic"},
	}
	if len(i.config.ResourceServers) > 0 {
		m.IntrospectionEndpoint = base + PathIntrospection
		m.IntrospectionAuthMethods = []string{"client_secret_basic", pairing.TypeBearer}
	}
	return m
}
