package e2e_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// A feature is used, its question is shown by the device with the text of the
// cloud, and the yes to it counts everywhere: from "not asked" to an answer, with
// nothing that the firmware brought along.
func TestPromptToAYes(t *testing.T) {
	s := newStage(t)
	phone := newPhone(t, s, "ada@example.com")
	a := newAgent(t, s, "a", "speaker")
	pair(t, a, phone)
	_, err := a.Prompt(t.Context(), client.PromptRequest{Key: recommend})
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "not_used" {
		t.Errorf("nobody has used it: %v", err)
	}
	verdict(t, a, cardea.Deny, cardea.ReasonNotAsked)
	p, err := a.Prompt(t.Context(), client.PromptRequest{Key: recommend})
	must(t, err)
	if !p.Spoken || p.Class != cardea.ClassC {
		t.Errorf("%+v", p)
	}

	// The code leads to the question itself.
	at, err := url.Parse(p.URI)
	must(t, err)
	must(t, phone.Open(t.Context(), p.URI))
	var text strings.Builder
	must(t, html.Render(&text, phone.Page()))
	if !strings.Contains(text.String(), `id="`+at.Fragment+`"`) || at.User != nil || at.RawQuery != "" {
		t.Errorf("%s is no place on the page", p.URI)
	}

	n, err := a.Notice(t.Context(), recommend, "de")
	must(t, err)
	if n.Version != p.Version || n.Title == "" || n.Question == "" || n.Refusal == "" || len(n.Recipients) == 0 {
		t.Errorf("%+v", n)
	}
	must2(a.Allow(t.Context(), client.Grant{Key: p.Key, Version: n.Version, Notice: n.Notice, Link: p.Link, Head: &p.Head}))(t)
	answers(t, a, recommend, cardea.Allow)

	// What was fetched is there without the network, and what was not is not.
	a.Network(false)
	if again, err := a.Notice(t.Context(), recommend, "de"); err != nil || again.Notice != n.Notice {
		t.Errorf("%+v, %v", again, err)
	}
	_, err = a.Notice(t.Context(), presence, "de")
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "offline" {
		t.Errorf("a notice from nowhere: %v", err)
	}
}
