package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// putRoles says through the brand's API what a customer is.
func putRoles(t *testing.T, s *stage.Stage, subject string, roles ...string) {
	t.Helper()
	body, err := json.Marshal(map[string][]string{"roles": append([]string{}, roles...)})
	must(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/admin/v1/accounts/"+subject+"/roles", bytes.NewReader(body))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+s.AdminKey)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("roles: %s", res.Status)
	}
}

// tokenRoles are the roles in the token that a program is given now.
func tokenRoles(t *testing.T, s *stage.Stage, a *stage.Agent) []string {
	t.Helper()
	token := must1(a.Token(t.Context(), client.TokenRequest{Audience: s.URL}))(t)
	parts := strings.Split(token.AccessToken.Reveal(), ".")
	if len(parts) != 3 {
		t.Fatal("no JWT")
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	must(t, json.Unmarshal(must1(base64.RawURLEncoding.DecodeString(parts[1]))(t), &claims))
	return claims.Roles
}

// A role that the brand gives reaches the device and its tokens, and one that it
// takes away is gone from both as soon as the device has heard of it: the token from
// before, which would count for minutes, is not given any more.
func TestRoleRemovalReachesDevices(t *testing.T) {
	s := newStage(t)
	car := newAgent(t, s, "car", "car")
	pair(t, car, newPhone(t, s, "ada@example.com"))
	subject := must1(car.Identity(t.Context()))(t).Subject
	if got := tokenRoles(t, s, car); got != nil {
		t.Errorf("a token with %q before any was given", got)
	}
	reach := func(roles ...string) time.Duration {
		t.Helper()
		began := time.Now()
		putRoles(t, s, subject, roles...)
		until(t, "the device knows the roles", func() error {
			if who := must1(car.Identity(t.Context()))(t); !slices.Equal(who.Roles, roles) {
				return fmt.Errorf("it knows %q", who.Roles)
			}
			return nil
		})
		took := time.Since(began)
		if got := tokenRoles(t, s, car); !slices.Equal(got, roles) {
			t.Errorf("the next token has %q, want %q", got, roles)
		}
		return took
	}
	given := reach("driver", "service")
	removed := reach("service")
	all := reach()
	t.Attr("from-the-brand-to-the-device", fmt.Sprintf("given %d ms, one removed %d ms, all removed %d ms",
		given.Milliseconds(), removed.Milliseconds(), all.Milliseconds()))
}
