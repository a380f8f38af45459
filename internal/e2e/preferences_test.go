package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// preference is what a program of the device is told of one now.
func preference(t testing.TB, a *stage.Agent, key cardea.PreferenceKey) (p client.Preference, there bool) {
	t.Helper()
	all := must1(a.Preferences(context.Background()))(t)
	i := slices.IndexFunc(all.Preferences, func(p client.Preference) bool { return p.Key == key })
	if i < 0 {
		return client.Preference{}, false
	}
	return all.Preferences[i], true
}

// likes waits until a device is told a value.
func likes(t testing.TB, a *stage.Agent, key cardea.PreferenceKey, value string) {
	t.Helper()
	until(t, fmt.Sprintf("%s is %s", key, value), func() error {
		if p, _ := preference(t, a, key); string(p.Value) != value {
			return fmt.Errorf("it is %s", p.Value)
		}
		return nil
	})
}

// on opens a page and presses a button of it.
func on(t testing.TB, s *stage.Stage, phone *owner.Owner, path, words, near string) {
	t.Helper()
	must(t, phone.Open(t.Context(), s.URL+path))
	must(t, phone.Press(t.Context(), words, near))
}

// A new device knows at once how its owner likes it: it is in the first statement.
// What belongs to a purpose is absent until that is allowed, and again, without the
// network, from the moment it is stopped here.
func TestPreferencesAtPairing(t *testing.T) {
	s := newStage(t)
	ada := newPhone(t, s, "ada@example.com")
	on(t, s, ada, "/preferences", "Sport", "What you want to hear in the news")
	a := newAgent(t, s, "a", "speaker")
	began := time.Now()
	pair(t, a, ada)
	p, there := preference(t, a, "news_topics")
	t.Attr("from_code_to_preference", time.Since(began).Round(time.Millisecond).String())
	if !there || string(p.Value) != `["local","sport","weather","world"]` || p.Source != cardea.ChannelPortal || p.Since == 0 || p.Purpose != "" {
		t.Errorf("in the first statement: %+v", p)
	}
	if p, _ := preference(t, a, "language"); p.Source != client.SourceDefault || p.Since != 0 {
		t.Errorf("what nobody set: %+v", p)
	}
	if p, there := preference(t, a, "ads_personalised"); there {
		t.Errorf("without the consent: %+v", p)
	}
	const offers = cardea.Key("offers/use")
	on(t, s, ada, "/consents", "Allow", "to choose offers for you")
	answers(t, a, offers, cardea.Allow)
	if p, there := preference(t, a, "ads_personalised"); !there || p.Purpose != "offers" {
		t.Errorf("with the consent: %+v", p)
	}
	a.Network(false)
	must2(a.Withdraw(t.Context(), client.Withdrawal{Key: offers}))(t)
	if p, there := preference(t, a, "ads_personalised"); there {
		t.Errorf("stopped here, out of reach: %+v", p)
	}
	if _, there := preference(t, a, "news_topics"); !there {
		t.Error("what belongs to no purpose went with it")
	}
}

// What was set on the page and, out of reach, on the device: the page was first,
// and the device follows.
func TestPreferenceSetTwiceAtOnce(t *testing.T) {
	s := newStage(t)
	ada := newPhone(t, s, "ada@example.com")
	a := newAgent(t, s, "a", "speaker")
	pair(t, a, ada)
	a.Network(false)
	must2(a.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: []byte("80"), Reach: cardea.ReachEverywhere}))(t)
	likes(t, a, "voice_speed", "80") // here, until the cloud has weighed it
	ada.Fill("value", "120")
	on(t, s, ada, "/preferences", "Save", "Speed of the voice")
	a.Network(true)
	nothingPending(t, a)
	likes(t, a, "voice_speed", "120")
	if p, _ := preference(t, a, "voice_speed"); p.Source != cardea.ChannelPortal {
		t.Errorf("it is from %s", p.Source)
	}
	must2(a.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: []byte("90"), Reach: cardea.ReachEverywhere}))(t)
	until(t, "the page shows what was set on the device", func() error {
		must(t, ada.Open(t.Context(), s.URL+"/preferences"))
		p, _ := preference(t, a, "voice_speed")
		if p.Source != cardea.ChannelDevice || p.Since == 0 {
			return errors.New("the cloud has not taken it")
		}
		return nil
	})
}

// What the brand asks changes on every device by its word in the cloud alone: the
// programs on it are the same. What is new to them breaks nothing.
func TestPolicyReachesEveryDevice(t *testing.T) {
	s := newStage(t)
	ada := newPhone(t, s, "ada@example.com")
	devices := []*stage.Agent{newAgent(t, s, "kitchen", "speaker"), newAgent(t, s, "car", "car")}
	for _, a := range devices {
		pair(t, a, ada)
	}
	choose(t, s, ada, "Allow", recommend)
	for _, a := range devices {
		answers(t, a, recommend, cardea.Allow)
	}
	putCatalogue(t, s,
		"id: recommendations\n    version: 1", "id: recommendations\n    version: 2", // not the same question any more
		"\npreferences:\n", "\npreferences:\n  - {key: hologram.depth, type: int, min: 0, max: 9, default: 3, devices: [speaker, car], titles: {en: Depth, de: Tiefe, ko: 깊이, th: ความลึก, ja: 奥行き}}\n",
	)
	for _, a := range devices {
		answers(t, a, recommend, cardea.Deny)
		verdict(t, a, cardea.Deny, cardea.ReasonNotice)
		likes(t, a, "hologram.depth", "3")
		if _, there := preference(t, a, "voice_speed"); !there {
			t.Error("what was there before is gone")
		}
		if got, err := a.Decide(t.Context(), "beaming/use", cardea.UseCollect); err != nil || got.Reason != cardea.ReasonUnknown {
			t.Errorf("a purpose nobody has heard of: %+v, %v", got, err)
		}
	}
}
