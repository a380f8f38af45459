package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
)

// settings are a customer's preferences of a purpose, by key.
func (w *world) settings(purpose string) map[string]map[string]any {
	w.Helper()
	status, answer := w.call("GET", w.path("/preferences?purpose="+purpose), "")
	if status != 200 {
		w.Fatalf("%d %s", status, answer)
	}
	found := map[string]map[string]any{}
	for _, p := range answer["preferences"].([]any) {
		p := p.(map[string]any)
		found[p["key"].(string)] = p
	}
	return found
}

// Every value says where and when it was set and what for, and is read for a
// purpose, while that is given.
func TestPreferencesAreReadByPurpose(t *testing.T) {
	w := newWorld(t)
	w.prefers(`{"key":"news_topics","value":["sport","local"]}`, 200)
	p := w.settings("")["news_topics"]
	if got, _ := json.Marshal(p["value"]); string(got) != `["local","sport"]` || p["source"] != "brand" || p["since"] == nil || p["purpose"] != nil {
		t.Errorf("%v", p)
	}
	if p := w.settings("")["language"]; p["source"] != "default" || p["since"] != nil {
		t.Errorf("a default: %v", p)
	}
	if got := w.settings("offers"); len(got) != 0 {
		t.Errorf("before the consent: %v", got)
	}
	if _, there := w.settings("")["ads_personalised"]; there {
		t.Error("what belongs to a purpose is told without one")
	}
	w.grant("offers/use")
	if p := w.settings("offers")["ads_personalised"]; p["value"] != false || p["purpose"] != "offers" || p["source"] != "default" {
		t.Errorf("with the consent: %v", p)
	}
	w.call("POST", w.path("/denials"), `{"key":"offers/use","everywhere":true}`)
	if got := w.settings("offers"); len(got) != 0 {
		t.Errorf("after it was taken back: %v", got)
	}
}

// prefers sets a preference and expects an answer.
func (w *world) prefers(body string, want int) {
	w.Helper()
	if status, answer := w.call("POST", w.path("/preferences"), body); status != want {
		w.Errorf("%.80s: %d %s, want %d", body, status, answer, want)
	}
}

func TestPreferenceGivenBack(t *testing.T) {
	w := newWorld(t)
	w.prefers(`{"key":"voice_speed","value":120}`, 200)
	w.prefers(`{"key":"voice_speed","value":null}`, 200)
	if p := w.settings("")["voice_speed"]; p["value"] != 100.0 || p["source"] != "default" {
		t.Errorf("given back: %v", p)
	}
	w.prefers(`{"key":"voice_speed"}`, 400)
	w.prefers(`{"key":"microphone_off","value":null}`, 403)
	w.prefers(`{"key":"news_topics","value":["sport","sport"]}`, 400)
	w.prefers(`{"key":"news_topics","value":["gossip"]}`, 400)
	w.prefers(`{"key":"news_topics","value":["`+strings.Repeat("x", 10<<10)+`"]}`, 400)
	w.prefers(`{"key":"news_topics","value":"sport"}`, 400)
}

// A sending is the answer to "may I write?".
type sending struct {
	send              any
	reason, frequency any
	notBefore         any
}

func (w *world) sending(body string) sending {
	w.Helper()
	status, answer := w.call("POST", w.path("/communication/check"), body)
	if status != 200 {
		w.Fatalf("%d %s", status, answer)
	}
	return sending{answer["send"], answer["reason"], answer["frequency"], answer["not_before"]}
}

// A wish counts with the consent only, and at the next message.
func TestMayIWrite(t *testing.T) {
	w := newWorld(t)
	const email = `{"channel":"email","topic":"offers"}`
	if got := w.sending(email); got != (sending{false, "no_consent", "monthly", nil}) {
		t.Errorf("at first: %+v", got)
	}
	w.grant("offers/marketing")
	if got := w.sending(email); got != (sending{true, "wanted", "monthly", nil}) {
		t.Errorf("with the consent: %+v", got)
	}
	if got := w.sending(`{"channel":"email","topic":"offers","at":4000000000000,"last":3999999999000}`); got.reason != "no_consent" {
		t.Errorf("when the yes has ended: %+v", got)
	}
	w.prefers(`{"key":"comm.email.offers","value":"weekly"}`, 403)
	w.prefers(`{"key":"comm.email.offers","value":"off"}`, 200)
	if got := w.sending(email); got != (sending{false, "off", "off", nil}) {
		t.Errorf("unsubscribed: %+v", got)
	}
	w.owner("comm.push.events", `"monthly"`)
	w.prefers(`{"key":"comm.quiet","value":"00:00-24:00"}`, 200)
	if got := w.sending(`{"channel":"push","topic":"events"}`); got != (sending{false, "quiet_hours", "monthly", nil}) {
		t.Errorf("quiet all day: %+v", got)
	}
	for body, want := range map[string]string{
		`{"channel":"pigeon","topic":"offers"}`: "unknown_channel", `{"channel":"email","topic":"weather"}`: "unknown_topic", `{}`: "unknown_channel",
	} {
		if status, answer := w.call("POST", w.path("/communication/check"), body); status != 400 || answer["error"] != want {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
}

// owner sets a preference as the owner does.
func (w *world) owner(key cardea.PreferenceKey, value cardea.Value) {
	w.Helper()
	_, err := w.ledger.Decide(w.Context(), w.account.ID, cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: key, Value: value,
	})
	if err != nil {
		w.Fatal(err)
	}
}
