package main

import (
	"context"
	"fmt"
)

// A resource is a service of the brand that takes access tokens, of another
// project's making (resource.mjs).
type resource struct{ *script }

func (h *house) resource(ctx context.Context) (resource, error) {
	s, err := h.node(ctx, h.cloud, nil, "resource.mjs", h.cloud.URL, "service", serviceKey)
	return resource{s}, err
}

// serviceKey opens nothing but the question whether a token counts.
const serviceKey = "the key of a service, for a run"

// active asks the issuer whether a token still counts (RFC 7662).
func (r resource) active(ctx context.Context, token string) (bool, error) {
	var got struct {
		Active bool `json:"active"`
	}
	err := r.do(ctx, map[string]any{"do": "ask", "token": token}, &got)
	return got.Active, err
}

// claims of an access token (RFC 9068, Section 2.2).
type claims struct {
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	Confirm  struct {
		JKT string `json:"jkt"`
	} `json:"cnf"`
}

// takes checks that the resource would serve whoever holds the tokens, and that
// the token says what the answer around it said.
func (r resource) takes(ctx context.Context, t tokens) error {
	var got struct {
		Claims claims `json:"claims"`
	}
	if err := r.do(ctx, map[string]any{"do": "verify", "token": t.AccessToken}, &got); err != nil {
		return fmt.Errorf("a resource does not take the access token: %w", err)
	}
	if ok, err := r.active(ctx, t.AccessToken); err != nil || !ok {
		return fmt.Errorf("the issuer says of the access token: active %v: %w", ok, err)
	}
	return got.Claims.match(t)
}

func (c claims) match(t tokens) error {
	bound := c.Confirm.JKT != ""
	switch {
	case c.Subject == "" || c.ClientID == "":
		return fmt.Errorf("the access token names nobody: %+v", c)
	case c.Scope != t.Scope:
		return fmt.Errorf("the answer says scope %q, the access token %q", t.Scope, c.Scope)
	case bound != (t.Type == "dpop"):
		return fmt.Errorf("token type %s, bound to a key: %v", t.Type, bound)
	}
	return nil
}
