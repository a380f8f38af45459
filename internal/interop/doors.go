package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
)

// doors are the ways to get in without a token that counts.
func (m *mqtt) doors() ([]trick, error) {
	eve, own := string(m.eve.id), m.eve.token.Reveal()
	forgery, err := forged(own)
	if err != nil {
		return nil, err
	}
	tricks := []trick{
		{"connects without TLS", m.openly},
		{"connects by MQTT 5", m.refused(eve, own, "-V", "mqttv5")},
		{"connects by MQTT 3.1", m.refused(eve, own, "-V", "mqttv31")},
	}
	for _, d := range []struct{ what, user, password string }{
		{"connects without a token", eve, ""},
		{"connects with its own token as another device", string(m.honest.id), own},
		{"connects as the cloud", "cloud", own},
		{"connects with an expired token of its own", eve, m.expired},
		{"connects with the access token of its owner's account", eve, m.eve.access.Reveal()},
		{"connects with its token, one letter of the signature another", eve, altered(own)},
		{"connects with its token, signed by a key of its own", eve, forgery},
		{"connects with its token, unsigned", eve, unsigned(own)},
	} {
		tricks = append(tricks, trick{d.what, m.refused(d.user, d.password)})
	}
	return append(tricks,
		trick{"and is let in with its token as it is, so that it was the token each time", m.letIn},
		trick{"connects a hundred times at once", m.storms}), nil
}

// refused expects the door to stay shut, and reads in the cloud's log why.
func (m *mqtt) refused(user, password string, more ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		v := visitor{broker: m.cloud.MQTT, user: user, password: password, ca: m.cloud.CAFile}
		args := v.args(append(more, append(format, "-E", "-W", briefly, "-t", wire.DownTopic(m.eve.id))...)...)
		before := m.log()
		o := attempt(ctx, 10*time.Second, "mosquitto_sub", nil, args...)
		seen := o.text + refusal(strings.TrimPrefix(m.log(), before))
		if strings.Contains(o.text, "Subscribed") {
			return seen, errors.New("it was let in")
		}
		return seen, nil
	}
}

// log is what the cloud has logged so far.
func (m *mqtt) log() string {
	text, err := os.ReadFile(filepath.Join(m.cloud.Dir, "cloud.log"))
	if err != nil {
		return ""
	}
	return string(text)
}

// refusal is why the cloud refused a connection, as its log says it.
func refusal(log string) string {
	const word = `msg="connection refused" `
	for line := range strings.Lines(log) {
		if _, why, ok := strings.Cut(line, word); ok {
			if _, reason, ok := strings.Cut(why, "reason="); ok {
				why = reason
			}
			return "; the log: " + strings.TrimSpace(why)
		}
	}
	return ""
}

func (m *mqtt) letIn(ctx context.Context) (string, error) {
	o := attempt(ctx, 10*time.Second, "mosquitto_sub", nil, m.as(m.eve).args(append(format, "-E", "-W", briefly, "-t", wire.DownTopic(m.eve.id))...)...)
	if !strings.Contains(o.text, "Subscribed (mid: 1): 0") {
		return o.text, errors.New("it was not let in")
	}
	return "", nil
}

// openly shows its token to the network, or would.
func (m *mqtt) openly(ctx context.Context) (string, error) {
	v := m.as(m.eve)
	v.ca = ""
	o := attempt(ctx, 5*time.Second, "mosquitto_sub", nil, v.args(append(format, "-E", "-W", briefly, "-t", wire.DownTopic(m.eve.id))...)...)
	if strings.Contains(o.text, "Subscribed") {
		return o.text, errors.New("it was let in")
	}
	return o.text, nil
}

// altered changes the first letter of a JWT's signature.
func altered(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	other := "A"
	if token[i] == 'A' {
		other = "B"
	}
	return token[:i] + other + token[i+1:]
}

// unsigned is the token with the algorithm "none" (RFC 8725, Section 3.1).
func unsigned(token string) string {
	const header = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0" // {"alg":"none","typ":"at+jwt"}
	return header + "." + strings.Split(token, ".")[1] + "."
}

// forged says what a token says, under the same key id, signed by another key.
func forged(token string) (string, error) {
	parts := strings.Split(token, ".")
	var header, claims map[string]any
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return "", err
		}
	}
	return jose.Sign(jose.GenerateKey().Signer(), map[string]any{"typ": header["typ"], "kid": header["kid"]}, claims)
}

// storms connects again and again. A device has a bound of its own.
func (m *mqtt) storms(ctx context.Context) (string, error) {
	const times = 100
	in := make(chan bool, times)
	for range times {
		go func() {
			o := attempt(ctx, 20*time.Second, "mosquitto_sub", nil, m.as(m.eve).args("-E", "-W", "5", "-t", wire.DownTopic(m.eve.id))...)
			in <- strings.Contains(o.text, "Subscribed")
		}()
	}
	let := 0
	for range times {
		if <-in {
			let++
		}
	}
	if let > times/2 {
		return "", fmt.Errorf("%d of %d were let in", let, times)
	}
	return fmt.Sprintf("%d of %d were let in", let, times), nil
}
