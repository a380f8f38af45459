package pairing

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"
)

// Grant types (RFC 6749, RFC 8628, Section 3.4) and the assertion type of
// RFC 7523, Section 2.2.
const (
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	AssertionJWT           = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// Token types (RFC 6750, RFC 9449, Section 5), compared without case.
const (
	TypeBearer = "Bearer"
	TypeDPoP   = "DPoP"
)

// ScopeMQTT is the scope of a device's own token for the broker, and
// AudienceMQTT the audience of that token.
const (
	ScopeMQTT    = "mqtt"
	AudienceMQTT = "mqtt"
)

// Where metadata stands: RFC 8414, Section 3, and OpenID Connect Discovery 1.0,
// Section 4.
const (
	WellKnownOAuth = "/.well-known/oauth-authorization-server"
	WellKnownOIDC  = "/.well-known/openid-configuration"
)

// DefaultInterval is between polls when the server does not say (RFC 8628,
// Section 3.2).
const DefaultInterval = 5 * time.Second

// SlowDownStep is what slow_down adds to the interval, for all later polls
// (RFC 8628, Section 3.5).
const SlowDownStep = 5 * time.Second

// MaxHold is the longest hold a client asks for: several clients and proxies
// give up a request at 30 s.
const MaxHold = 20 * time.Second

const redacted = "redacted"

// A Secret is a token or a code that must not be printed. Every way of
// formatting or logging one yields "redacted"; JSON carries the value, because
// the messages do.
type Secret string

// Reveal is the value.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return redacted }

// Format answers every verb, so that none prints the value.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue keeps the value out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// A Device says what a device is, so that the owner can tell which one asks.
// Each part may be empty. These parameters are Cardea's; RFC 6749, Section 3.1
// makes other servers ignore them.
type Device struct {
	Kind   string // "speaker", "car"
	Model  string // at most 64 bytes
	Serial string // the tail of the serial number, at most 8 characters
}

// Values are the form parameters of the device.
func (d Device) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"device_kind": d.Kind, "device_model": d.Model, "device_serial": d.Serial} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// DeviceOf reads what Values wrote, cut to its limits.
func DeviceOf(form url.Values) Device {
	return Device{
		Kind:   clean(form.Get("device_kind"), 32),
		Model:  clean(form.Get("device_model"), 64),
		Serial: clean(form.Get("device_serial"), 8),
	}
}

// An Authorization is the answer of RFC 8628, Section 3.2. Lifetimes are in
// seconds from the answer, never instants: a device may not know the time.
type Authorization struct {
	DeviceCode              Secret `json:"device_code"`
	UserCode                string `json:"user_code"` // as the server writes it, see [UserCode] for Cardea's
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete,omitempty"`
	// VerificationURIShort is Cardea's: the complete one again, in characters of
	// which a QR code holds more (ISO/IEC 18004, Section 7.4.4), for a screen with
	// few pixels. RFC 6749, Section 5.1 has clients ignore what they do not know.
	VerificationURIShort string `json:"verification_uri_short,omitempty"`
	ExpiresIn            int    `json:"expires_in"`
	Interval             int    `json:"interval"`
}

// LogValue shows only what is no secret.
func (a Authorization) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("expires_in", a.ExpiresIn), slog.Int("interval", a.Interval))
}

// Tokens are the answer of RFC 6749, Section 5.1.
type Tokens struct {
	AccessToken  Secret `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in,omitempty"` // seconds; 0: not said
	RefreshToken Secret `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"` // empty: the one asked for
}

// LogValue shows only what is no secret.
func (t Tokens) LogValue() slog.Value {
	return slog.GroupValue(slog.String("token_type", t.TokenType), slog.Int("expires_in", t.ExpiresIn))
}

// Metadata is the part of RFC 8414, Section 2 (and of OpenID Connect Discovery
// 1.0) that the device grant needs.
type Metadata struct {
	Issuer                      string   `json:"issuer"`
	DeviceAuthorizationEndpoint string   `json:"device_authorization_endpoint,omitempty"`
	TokenEndpoint               string   `json:"token_endpoint"`
	JWKSURI                     string   `json:"jwks_uri,omitempty"`
	RevocationEndpoint          string   `json:"revocation_endpoint,omitempty"`
	RevocationAuthMethods       []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	IntrospectionEndpoint       string   `json:"introspection_endpoint,omitempty"`
	IntrospectionAuthMethods    []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	ScopesSupported             []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported      []string `json:"response_types_supported"`
	GrantTypesSupported         []string `json:"grant_types_supported,omitempty"`
	TokenAuthMethods            []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenAuthAlgs               []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	DPoPAlgs                    []string `json:"dpop_signing_alg_values_supported,omitempty"`
	SubjectTypes                []string `json:"subject_types_supported,omitempty"`
	IDTokenAlgs                 []string `json:"id_token_signing_alg_values_supported,omitempty"`
}
