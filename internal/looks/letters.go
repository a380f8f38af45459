package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/pairing"
)

// everyLetter shows the pages there are where owners are written to.
func (h *house) everyLetter(ctx context.Context, look looker, only string, seen map[string]bool) error {
	kinds := []kind{h.at("register-by-mail", h.guest, "/register"), h.at("signin-by-mail", h.guest, "/signin")}
	if err := h.register(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	kinds = append(kinds, h.at("account-by-mail", h.owner, "/account"), h.at("confirm", h.owner, "/account/confirm"))
	for _, k := range kinds {
		if err := h.see(look, k, seen, only); err != nil {
			return err
		}
	}
	if err := h.confirm(ctx); err != nil {
		return fmt.Errorf("confirm the address: %w", err)
	}
	for _, k := range []kind{
		h.at("passkey", h.owner, "/account/passkey"), h.at("reset", h.guest, "/reset"), {"mailcode", h.guest, h.sendCode},
		{"undo", h.guest, func() error { return h.undo(ctx) }},
		{"undone", h.guest, func() error {
			return steps(func() error { return h.undo(ctx) }, func() error { return h.guest.PressIn("main form", "button") })
		}},
	} {
		if err := h.see(look, k, seen, only); err != nil {
			return err
		}
	}
	return nil
}

// letter waits for one with something in it, after those that came before.
func (h *house) letter(ctx context.Context, before int, what *regexp.Regexp) (found string, err error) {
	err = h.until(ctx, "a letter comes", func() error {
		for _, letter := range h.mail.Letters()[before:] {
			if found = what.FindString(letter.Text); found != "" {
				return nil
			}
		}
		return fmt.Errorf("none has %s", what)
	})
	return found, err
}

// confirm shows that the owner reads what is sent to their address.
func (h *house) confirm(ctx context.Context) error {
	code, err := h.letter(ctx, 0, regexp.MustCompile(`\b[0-9]{3} [0-9]{3}\b`))
	if err != nil {
		return err
	}
	return steps(
		func() error { return h.owner.Open(h.URL + "/account/confirm") },
		func() error { return h.owner.Fill("code", code) },
		func() error { return h.owner.PressIn("main form", "button") },
	)
}

// sendCode asks for a code by mail instead of giving a password.
func (h *house) sendCode() error {
	return steps(
		func() error { return h.guest.Open(h.URL + "/signin") },
		func() error { return h.guest.Fill("email", email) },
		func() error { return h.guest.PressIn("main form.stack", "button[formaction]") },
	)
}

var undoLink = regexp.MustCompile(`/undo/[A-Za-z0-9_-]+`)

// undo has the owner add a device and follows the link of the letter that tells
// of it.
func (h *house) undo(ctx context.Context) error {
	before := len(h.mail.Letters())
	code, err := h.asks(ctx, &pairing.Client{Issuer: h.URL, ClientID: "tv-app"}, "tv")
	if err != nil {
		return err
	}
	err = steps(
		func() error { return h.owner.SetLook(browser.Look{}) },
		func() error { return h.owner.Open(h.URL + "/pair?code=" + code) },
		func() error { return h.owner.PressIn("main form", "button[value=approve]") },
	)
	if err != nil {
		return fmt.Errorf("add a device: %w", err)
	}
	link, err := h.letter(ctx, before, undoLink)
	if err != nil {
		return err
	}
	return h.guest.Open(h.URL + link)
}
