package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/cardea-id/cardea/internal/stage"
)

// playOAuth2 plays golang.org/x/oauth2, which finds out by itself how to name
// its client.
func playOAuth2(ctx context.Context, h *house) error {
	h.peer("golang.org/x/oauth2", linked("golang.org/x/oauth2")+", a bearer")
	return h.everything(ctx, "oauth2@example.com", func(_ context.Context, s *stage.Stage) (device, error) {
		return &goDevice{http: &http.Client{Transport: s.Transport()}, config: oauth2.Config{ClientID: "tv-app", Scopes: []string{"profile"}, Endpoint: oauth2.Endpoint{
			DeviceAuthURL: s.URL + "/oauth/device_authorization", TokenURL: s.URL + "/oauth/token",
		}}}, nil
	})
}

// linked is the version of a module in this program.
func linked(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return "unknown"
}

// A goDevice is a device that uses golang.org/x/oauth2.
type goDevice struct {
	http   *http.Client
	config oauth2.Config
	code   *oauth2.DeviceAuthResponse
	token  *oauth2.Token
}

// over is how the library is told which authority to trust.
func (d *goDevice) over(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, d.http)
}

func (d *goDevice) start(ctx context.Context) (shown, error) {
	var err error
	if d.code, err = d.config.DeviceAuth(d.over(ctx)); err != nil {
		return shown{}, err
	}
	s := shown{d.code.UserCode, d.code.VerificationURIComplete}
	d.code.Expiry = time.Time{} // it is the server that says when the code is over
	return s, nil
}

func (d *goDevice) poll(ctx context.Context) (tokens, error) {
	t, err := d.config.DeviceAccessToken(d.over(ctx), d.code)
	return d.keep(t, err)
}

func (d *goDevice) refresh(ctx context.Context) (tokens, error) {
	old := *d.token
	old.Expiry = time.Now().Add(-time.Minute)
	t, err := d.config.TokenSource(d.over(ctx), &old).Token()
	if err == nil && (t.AccessToken == old.AccessToken || t.RefreshToken == old.RefreshToken) {
		err = errors.New("nothing is new")
	}
	return d.keep(t, err)
}

func (d *goDevice) keep(t *oauth2.Token, err error) (tokens, error) {
	if err != nil {
		return tokens{}, err
	}
	d.token = t
	return tokens{AccessToken: t.AccessToken, Type: strings.ToLower(t.TokenType), Scope: fmt.Sprint(t.Extra("scope")), ExpiresIn: int(t.ExpiresIn)}, nil
}

func (d *goDevice) told(err error, code string) bool {
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && refusal.ErrorCode == code && refusal.ErrorDescription != ""
}

func (d *goDevice) close() {}
