package pairing_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/pairing"
)

func TestParseUserCode(t *testing.T) {
	good := func(text, why string) {
		t.Helper()
		if got, err := pairing.ParseUserCode(text); err != nil || got != "WDJB-MJHT" {
			t.Errorf("%q (%s) is read as %q, %v", text, why, got, err)
		}
	}
	bad := func(text, why string) {
		t.Helper()
		if got, err := pairing.ParseUserCode(text); !errors.Is(err, pairing.ErrInvalidUserCode) {
			t.Errorf("%q (%s) is read as %q, %v", text, why, got, err)
		}
	}
	good("WDJB-MJHT", "as shown")
	good("WDJBMJHT", "no dash")
	good("wdjb mjht", "small letters, a space")
	good("  W D J B – M J H T.\n", "a spaced one, with an n-dash and a full stop")
	good("ＷＤＪＢ－ｍｊｈｔ", "a Japanese keyboard")
	good("WDJB\u200b-MJHT\ufeff", "pasted with invisible characters")
	bad("", "empty")
	bad("WDJB-MJH", "seven letters")
	bad("WDJB-MJHTT", "nine letters")
	bad("WDJB-MJHA", "a vowel")
	bad("WDJB-MJH1", "a digit")
	bad("WDJB-MJHY", "a letter left out")
	bad("ŴDJB-MJHT", "a letter like another")
	bad("ſDJB-MJHT", "a letter whose capital is ASCII")
	bad(strings.Repeat("-", 100)+"WDJBMJHT", "far too long")
	bad("WDJB\xffMJHT", "no text")
}

func TestNewUserCode(t *testing.T) {
	seen := map[pairing.UserCode]bool{}
	letters := map[rune]int{}
	for range 2000 {
		c := pairing.NewUserCode()
		if again, err := pairing.ParseUserCode(string(c)); err != nil || again != c {
			t.Fatalf("%q is read as %q, %v", c, again, err)
		}
		if seen[c] {
			t.Fatal("a code came twice")
		}
		seen[c] = true
		for _, r := range c {
			letters[r]++
		}
	}
	// 16,000 letters of 20: 800 each, give or take.
	for _, r := range "BCDFGHJKLMNPQRSTVWXZ" {
		if letters[r] < 600 || letters[r] > 1000 {
			t.Errorf("%c came %d times in 16,000", r, letters[r])
		}
	}
}

func TestParseAuthorization(t *testing.T) {
	const head = `{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://c.example/pair"`
	a, err := pairing.ParseAuthorization([]byte(head + `,"expires_in":600}`))
	if err != nil || a.Interval != 5 || a.ExpiresIn != 600 || a.DeviceCode.Reveal() != "d" {
		t.Errorf("without an interval: %v, %v", a, err)
	}
	for name, text := range map[string]string{
		"as the RFC has it": head + `,"verification_uri_complete":"https://c.example/pair?c=1","expires_in":1800,"interval":7}`,
		"text numbers":      head + `,"expires_in":"1800","interval":"7"}`,
		"with a fraction":   head + `,"expires_in":1800.5,"interval":7.2}`,
		"an old name":       `{"device_code":"d","user_code":"w","verification_url":"https://c.example","expires_in":1800,"interval":7}`,
		"something new":     head + `,"expires_in":1800,"interval":7,"new":{"a":[1]}}`,
	} {
		if a, err := pairing.ParseAuthorization([]byte(text)); err != nil || a.Interval != 7 || a.ExpiresIn != 1800 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	a, err = pairing.ParseAuthorization([]byte(head + `,"verification_uri_complete":"javascript:alert(1)","expires_in":600}`))
	if err != nil || a.VerificationURIComplete != "" {
		t.Errorf("an address that is none is shown: %q, %v", a.VerificationURIComplete, err)
	}
	for name, text := range map[string]string{
		"no JSON":            `<html>`,
		"nothing":            `{}`,
		"no lifetime":        head + `}`,
		"no life":            head + `,"expires_in":0}`,
		"a negative life":    head + `,"expires_in":-1}`,
		"a life in words":    head + `,"expires_in":"soon"}`,
		"no device code":     `{"user_code":"w","verification_uri":"https://c.example","expires_in":1}`,
		"no user code":       `{"device_code":"d","verification_uri":"https://c.example","expires_in":1}`,
		"no address":         `{"device_code":"d","user_code":"w","expires_in":1}`,
		"another scheme":     `{"device_code":"d","user_code":"w","verification_uri":"file:///etc/passwd","expires_in":1}`,
		"a code for a shell": `{"device_code":"d","user_code":"\u001b[2J","verification_uri":"https://c.example","expires_in":1}`,
		"a code of a page":   `{"device_code":"d","user_code":"` + strings.Repeat("w", 65) + `","verification_uri":"https://c.example","expires_in":1}`,
	} {
		if _, err := pairing.ParseAuthorization([]byte(text)); !errors.Is(err, pairing.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseTokens(t *testing.T) {
	got, err := pairing.ParseTokens([]byte(`{"access_token":"a","token_type":"dpop","expires_in":"600","refresh_token":"r"}`))
	if err != nil || got.TokenType != pairing.TypeDPoP || got.ExpiresIn != 600 || got.RefreshToken.Reveal() != "r" {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = pairing.ParseTokens([]byte(`{"access_token":"a","token_type":"bearer"}`))
	if err != nil || got.TokenType != pairing.TypeBearer || got.ExpiresIn != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"no JSON":         `no`,
		"no token":        `{"token_type":"Bearer"}`,
		"no type":         `{"access_token":"a"}`,
		"another type":    `{"access_token":"a","token_type":"mac"}`,
		"a line break":    `{"access_token":"a\nX: y","token_type":"Bearer"}`,
		"not ASCII":       `{"access_token":"ä","token_type":"Bearer"}`,
		"a bad refresh":   `{"access_token":"a","token_type":"Bearer","refresh_token":"\u0000"}`,
		"a list":          `["a"]`,
		"a long lifetime": `{"access_token":"a","token_type":"Bearer","expires_in":"Inf "}`,
	} {
		if _, err := pairing.ParseTokens([]byte(text)); !errors.Is(err, pairing.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseError(t *testing.T) {
	e := pairing.ParseError(400, []byte(`{"error":"access_denied","error_description":"no\u001b[2J, thanks"}`))
	if e.Code != pairing.AccessDenied || e.Description != "no[2J, thanks" || e.Status != 400 || e.Transient() {
		t.Errorf("got %+v", e)
	}
	for _, text := range []string{"", "<html>", "{}", "[]", `{"error":7}`} {
		if e := pairing.ParseError(400, []byte(text)); e.Code != pairing.ServerError || !e.Transient() {
			t.Errorf("%q: %+v", text, e)
		}
	}
	if !errors.Is(e, &pairing.Error{Code: pairing.AccessDenied}) || errors.Is(e, &pairing.Error{Code: pairing.SlowDown}) {
		t.Error("errors.Is does not go by the code")
	}
	if len(pairing.ParseError(400, []byte(`{"error":"`+strings.Repeat("e", 9999)+`"}`)).Code) > 64 {
		t.Error("a long code is kept whole")
	}
}

func TestJSONCarriesTheValue(t *testing.T) {
	text, err := json.Marshal(pairing.Tokens{AccessToken: "secret", TokenType: pairing.TypeBearer})
	if err != nil || string(text) != `{"access_token":"secret","token_type":"Bearer"}` {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestDeviceValues(t *testing.T) {
	d := pairing.Device{Kind: "speaker", Model: "Küche", Serial: "12345678"}
	if got := pairing.DeviceOf(d.Values()); got != d {
		t.Errorf("got %+v", got)
	}
	if v := (pairing.Device{}).Values(); len(v) != 0 {
		t.Errorf("an empty device says %v", v)
	}
	got := pairing.DeviceOf(url.Values{"device_serial": {"123456789"}, "device_model": {"a\x00b\n" + strings.Repeat("ü", 99)}})
	if got.Serial != "12345678" || len(got.Model) > 64 || !strings.HasPrefix(got.Model, "abü") {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseUserCode(f *testing.F) {
	for _, text := range []string{"WDJB-MJHT", "wdjb mjht", "ＷＤＪＢ", "\xff", "W–D"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := pairing.ParseUserCode(text)
		if err != nil {
			return
		}
		if again, err := pairing.ParseUserCode(string(c)); err != nil || again != c || len(c) != 9 {
			t.Errorf("%q is read as %q, and that as %q, %v", text, c, again, err)
		}
	})
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","token_type":"DPoP","expires_in":600,"refresh_token":"r","scope":"s"}`))
	f.Add([]byte(`{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://c.example/pair","expires_in":"1"}`))
	f.Add([]byte(`{"error":"slow_down"}`))
	f.Add([]byte(`{"access_token":"a","token_type":"Bearer","expires_in":1e309}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := pairing.ParseTokens(text); err == nil {
			if got.AccessToken == "" || got.ExpiresIn < 0 || strings.ContainsAny(got.AccessToken.Reveal(), "\r\n") {
				t.Errorf("tokens that can not be used: %q", got.AccessToken.Reveal())
			}
		}
		if a, err := pairing.ParseAuthorization(text); err == nil {
			if a.DeviceCode == "" || a.ExpiresIn <= 0 || a.Interval < 0 || strings.ContainsAny(a.UserCode, "\x1b\n") {
				t.Errorf("an authorization that can not be used: %+v", a)
			}
		}
		if e := pairing.ParseError(400, text); e.Code == "" {
			t.Error("an error without a code")
		}
	})
}

func FuzzDiscovery(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://c.example","token_endpoint":"https://c.example/t","device_authorization_endpoint":"https://c.example/d","dpop_signing_alg_values_supported":["ES256"]}`))
	f.Add([]byte(`{"issuer":"https://C.example"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := pairing.ParseMetadata(text, "https://c.example")
		if err != nil {
			return
		}
		if m.Issuer != "https://c.example" {
			t.Errorf("took the metadata of %q", m.Issuer)
		}
		for _, endpoint := range []string{m.TokenEndpoint, m.DeviceAuthorizationEndpoint} {
			if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
				t.Errorf("took the endpoint %q", endpoint)
			}
		}
	})
}
