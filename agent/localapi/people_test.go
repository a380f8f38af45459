package localapi_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// second adds somebody to the house, who is not active.
func (h *house) second(t *testing.T) cardea.LinkID {
	t.Helper()
	id := cardea.NewID[cardea.LinkID]()
	b := body()
	b.Identity.Name = "Bob"
	if err := h.db.Join(devicedb.Link{ID: id, Body: b, Log: cardea.NewLog()}, pairing.Tokens{}); err != nil {
		t.Fatal(err)
	}
	return id
}

// Everybody at the device sees how many are linked; names are for the screen
// that asks who it is.
func TestLinks(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"", os.Getuid()))
	second := h.second(t)
	got, err := h.client(t).Links(t.Context())
	want := []client.Person{{Link: h.link, Active: true, Owner: true}, {Link: second}}
	if err != nil || !slices.Equal(got.Links, want) {
		t.Errorf("%+v, %v", got, err)
	}
	h = newHouse(t)
	second = h.second(t)
	got, err = h.client(t).Links(t.Context())
	want = []client.Person{{Link: h.link, Active: true, Owner: true, Name: "Ada"}, {Link: second, Name: "Bob"}}
	if err != nil || !slices.Equal(got.Links, want) {
		t.Errorf("%+v, %v", got, err)
	}
	_, text := h.send(t, "GET", "/v1/links", "")
	if strings.Contains(text, "sub-1") {
		t.Errorf("it names accounts: %s", text)
	}
}

// Everything is the active one's, and says so; what was collected for another
// waits for them.
func TestSwitch(t *testing.T) {
	h := newHouse(t)
	c, second := h.client(t), h.second(t)
	if got, err := c.Activate(t.Context(), second); err != nil || got.Link != second || got.Generation == 7 {
		t.Fatalf("%+v, %v", got, err)
	}
	if who, err := c.Identity(t.Context()); err != nil || who.Link != second || who.Name != "Bob" {
		t.Errorf("%+v, %v", who, err)
	}
	token, err := c.Token(t.Context(), client.TokenRequest{Audience: "https://api.example"})
	if err != nil || token.Link != second || token.Generation != h.Generation() {
		t.Errorf("%+v, %v", token, err)
	}
	status, text := h.send(t, "POST", "/v1/decide", `{"link":"`+h.link.String()+`","key":"recommendations/use","use":"egress"}`)
	if status != 200 || !strings.Contains(text, `"verdict":"hold"`) || !strings.Contains(text, h.link.String()) {
		t.Errorf("what was collected for another: %d %s", status, text)
	}
	_, text = h.send(t, "POST", "/v1/decide", `{"link":"`+h.link.String()+`","key":"voice/use"}`)
	if !strings.Contains(text, `"verdict":"deny"`) {
		t.Errorf("what they deny: %s", text)
	}
	if _, err := c.Guest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Decide(t.Context(), "recommendations/use", ""); err != nil || a.Reason != cardea.ReasonGuest || !a.Link.IsZero() {
		t.Errorf("a guest: %+v, %v", a, err)
	}
	if _, err := c.Consents(t.Context()); code(err) != "guest" {
		t.Errorf("a guest's consents: %v", err)
	}
	if _, err := c.Activate(t.Context(), cardea.LinkID{9}); code(err) != "unknown_link" {
		t.Errorf("nobody: %v", err)
	}
}

// A screen is shown to one person, and somebody else may have taken over when its
// button is pressed.
func TestADecisionOverASwitch(t *testing.T) {
	h := newHouse(t)
	c, second := h.client(t), h.second(t)
	shown, err := c.Consents(t.Context())
	if err != nil || shown.Link != h.link {
		t.Fatalf("%+v, %v", shown, err)
	}
	yes := client.Grant{Key: "voice/use", Version: 1, Notice: cardea.Hash{1}, Head: &shown.Head}
	if _, err := c.Allow(t.Context(), yes); code(err) != "invalid_request" {
		t.Errorf("a yes of either: %v", err)
	}
	yes.Link = shown.Link
	if _, err := c.Allow(t.Context(), yes); err != nil {
		t.Errorf("a yes of who is there: %v", err)
	}
	if err := h.Activate(second); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Allow(t.Context(), yes); code(err) != "switched" {
		t.Errorf("a yes of who has left: %v", err)
	}
	set := client.PreferenceChange{Key: "voice_speed", Value: []byte("1"), Link: shown.Link}
	if _, err := c.SetPreference(t.Context(), set); code(err) != "switched" {
		t.Errorf("a preference of who has left: %v", err)
	}
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use", Link: shown.Link, Reach: cardea.ReachEveryone}); code(err) != "switched" {
		t.Errorf("a no for everyone by who has left: %v", err)
	}
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use", Link: shown.Link}); err != nil {
		t.Errorf("a no of who has left: %v", err)
	}
	for id, want := range map[cardea.LinkID]int{h.link: 2, second: 0} {
		if l, err := h.db.Link(id); err != nil || len(l.Log.Entries) != want {
			t.Errorf("%v decided %+v, %v", id, l.Log.Entries, err)
		}
	}
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "voice/use", Link: cardea.LinkID{9}}); code(err) != "unknown_link" {
		t.Errorf("a no of nobody: %v", err)
	}
}

// A token that arrives after somebody else has taken over is nobody's.
func TestTokenOverASwitch(t *testing.T) {
	h := newHouse(t)
	second := h.second(t)
	h.fetching = func() {
		if err := h.Activate(second); err != nil {
			t.Error(err)
		}
	}
	if _, err := h.client(t).Token(t.Context(), client.TokenRequest{Audience: "https://api.example"}); code(err) != "switched" {
		t.Errorf("%v", err)
	}
}

func TestForEveryone(t *testing.T) {
	h := newHouse(t)
	c, second := h.client(t), h.second(t)
	key := cardea.Key("recommendations/use")
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: key, Reach: cardea.ReachEveryone}); err != nil {
		t.Fatal(err)
	}
	h.Activate(second)
	h.change(func() { h.view = cardea.NewView(nil, nil, epoch, epoch) })
	h.link = second
	consents, err := c.Consents(t.Context())
	if err != nil || !consents.Consents[0].Everyone || consents.Consents[1].Everyone {
		t.Errorf("%+v, %v", consents, err)
	}
	if _, err := c.Allow(t.Context(), client.Grant{Key: key, Reach: cardea.ReachEveryone, Version: 1}); code(err) != "invalid_request" {
		t.Errorf("a yes for everyone: %v", err)
	}
	if _, err := c.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: []byte("1"), Reach: cardea.ReachEveryone}); code(err) != "invalid_request" {
		t.Errorf("a preference for everyone: %v", err)
	}
	if _, err := c.Allow(t.Context(), client.Grant{Key: key, Reach: cardea.ReachEveryone}); err != nil {
		t.Error(err)
	}
	h.broken = syncer.ErrNotAuthor
	if _, err := c.Allow(t.Context(), client.Grant{Key: key, Reach: cardea.ReachEveryone}); code(err) != "not_author" {
		t.Errorf("%v", err)
	}
	h.broken = syncer.ErrNotOwner
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: key, Reach: cardea.ReachEveryone}); code(err) != "not_owner" {
		t.Errorf("%v", err)
	}
}

// A pairing for a new owner erases, so it takes what a reset takes.
func TestNewOwner(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [\"pair\"]", os.Getuid()))
	if _, err := h.client(t).PairNewOwner(t.Context()); code(err) != "not_entitled" || len(h.moved) != 0 {
		t.Errorf("%v, %v", err, h.moved)
	}
	if status, text := h.send(t, "POST", "/v1/pair", `{"for":"add"}`); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := h.send(t, "POST", "/v1/pair", `{"for":"fun"}`); status != 400 {
		t.Errorf("%d", status)
	}
	h = newHouse(t)
	if p, err := h.client(t).PairNewOwner(t.Context()); err != nil || p.State != client.PairPending || !slices.Contains(h.moved, "new owner") {
		t.Errorf("%+v, %v", p, err)
	}
	if r, err := h.client(t).Reset(t.Context()); err != nil || r.Device != anotherID {
		t.Errorf("%+v, %v", r, err)
	}
}
