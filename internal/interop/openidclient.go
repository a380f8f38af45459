package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cardea-id/cardea/internal/stage"
)

// npmVersions are those of packages in the folder, and of node.
func (h *house) npmVersions(ctx context.Context, names ...string) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, "node", append([]string{filepath.Join(h.npm, "versions.mjs")}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("read the versions (were they installed? make interop does): %w", err)
	}
	var versions map[string]string
	return versions, json.Unmarshal(out, &versions)
}

// playOpenIDClient plays npm's openid-client, as a client that proves a key and
// as one that does not, finding the server in either of its two ways.
func playOpenIDClient(ctx context.Context, h *house) error {
	v, err := h.npmVersions(ctx, "openid-client", "jose")
	if err != nil {
		return err
	}
	h.peer("openid-client", fmt.Sprintf("%s (npm, node %s), DPoP with the server's nonces; tokens checked by jose %s", v["openid-client"], v["node"], v["jose"]))
	err = h.everything(ctx, "openid-client@example.com", func(ctx context.Context, s *stage.Stage) (device, error) {
		return h.openIDClient(ctx, s, "cardea-agent", "oidc", "dpop")
	})
	if err != nil {
		return err
	}
	if err := h.joins(ctx); err != nil {
		return err
	}
	h.peer("openid-client", v["openid-client"]+", as a bearer, by the metadata of RFC 8414")
	err = h.everything(ctx, "bearer@example.com", func(ctx context.Context, s *stage.Stage) (device, error) {
		return h.openIDClient(ctx, s, "tv-app", "oauth2", "bearer")
	})
	if err != nil {
		return err
	}
	if err := h.leaves(ctx); err != nil {
		return err
	}
	return h.mistakes(ctx)
}

// leaves has an app give its tokens back (RFC 7009).
func (h *house) leaves(ctx context.Context) error {
	phone, err := register(ctx, h.cloud, "leaves@example.com")
	if err != nil {
		return err
	}
	d, err := h.openIDClient(ctx, h.cloud, "tv-app", "oauth2", "bearer")
	if err != nil {
		return err
	}
	defer d.close()
	p := &play{house: h, phone: phone}
	if _, err := p.approve(ctx, d, "Signed out"); err != nil {
		return err
	}
	h.check("signs out by giving its refresh token back", "", d.do(ctx, map[string]any{"do": "revoke"}, nil))
	p.refused(ctx, "which counts no more", "invalid_grant", d, d.refresh)
	err = phone.Open(ctx, h.cloud.URL+"/devices")
	if err == nil && strings.Contains(phone.Text(), "Signed out") {
		err = errors.New("it is still on the page")
	}
	h.check("and is gone from the owner's page", "", err)
	return nil
}

// A scripted device is device.mjs.
type scripted struct{ *script }

func (h *house) openIDClient(ctx context.Context, s *stage.Stage, client, algorithm, binding string) (scripted, error) {
	js, err := h.node(ctx, s, nil, "device.mjs", s.URL, client, algorithm, binding)
	return scripted{js}, err
}

func (d scripted) start(ctx context.Context) (shown, error) {
	return ask[shown](ctx, d, map[string]any{"do": "start"})
}

func (d scripted) poll(ctx context.Context) (tokens, error) {
	return ask[tokens](ctx, d, map[string]any{"do": "poll"})
}

func (d scripted) refresh(ctx context.Context) (tokens, error) {
	return ask[tokens](ctx, d, map[string]any{"do": "refresh"})
}

func (d scripted) close() { d.kill() }

func (d scripted) told(err error, code string) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && p.Err == code && p.Description != ""
}

func ask[T any](ctx context.Context, d scripted, command map[string]any) (T, error) {
	var v T
	err := d.do(ctx, command, &v)
	return v, err
}

// called is what a resource answered, and what it took.
type called struct {
	Status   int `json:"status"`
	Requests int `json:"requests"`
	Nonces   int `json:"nonces"`
}

// joins has a foreign client make its device a link, at a resource that demands
// a proof with a nonce of its own (RFC 9449, Section 9).
func (h *house) joins(ctx context.Context) error {
	phone, err := register(ctx, h.cloud, "joins@example.com")
	if err != nil {
		return err
	}
	d, err := h.openIDClient(ctx, h.cloud, "cardea-agent", "oauth2", "dpop")
	if err != nil {
		return err
	}
	defer d.close()
	p := &play{house: h, phone: phone}
	if _, err := p.approve(ctx, d, "A foreign device"); err != nil {
		return err
	}
	got, err := ask[called](ctx, d, map[string]any{"do": "call", "url": h.cloud.URL + "/v1/links"})
	if err == nil && got.Status != http.StatusOK {
		err = fmt.Errorf("status %d", got.Status)
	}
	h.check("makes its device a link, by a proof at a resource", fmt.Sprintf("%d requests, %d asked again with a nonce", got.Requests, got.Nonces), err)
	return nil
}

// mistakes are those a developer makes, and what they are told.
func (h *house) mistakes(ctx context.Context) error {
	for _, m := range []struct {
		what, client, binding, code, remedy string
		command                             map[string]any
	}{
		{"a client that nobody registered is told so", "nobody", "bearer", "invalid_client", "registered", map[string]any{"do": "start"}},
		{"a scope that is not the client's is told with those that are", "tv-app", "bearer", "invalid_scope", "profile", map[string]any{"do": "start", "scope": "admin"}},
	} {
		d, err := h.openIDClient(ctx, h.cloud, m.client, "oidc", m.binding)
		if err != nil {
			return err
		}
		_, err = ask[shown](ctx, d, m.command)
		d.close()
		wrong := expect(err, m.code, d)
		if wrong == nil && !strings.Contains(err.Error(), m.remedy) {
			wrong = errors.New("which does not name the remedy")
		}
		h.check(m.what, fmt.Sprint(err), wrong)
	}
	return h.unproved(ctx)
}

// unproved is a client that must prove a key and does not.
func (h *house) unproved(ctx context.Context) error {
	d, err := h.openIDClient(ctx, h.cloud, "cardea-agent", "oidc", "bearer")
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := d.start(ctx); err != nil {
		return err
	}
	_, err = d.poll(ctx)
	h.check("a client that must prove a key and does not is told so", fmt.Sprint(err), expect(err, "invalid_dpop_proof", d))
	return nil
}
