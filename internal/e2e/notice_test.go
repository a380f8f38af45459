package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// putCatalogue puts the shipped catalogue in force through the brand's API, with
// some of its text replaced.
func putCatalogue(t *testing.T, s *stage.Stage, replace ...string) {
	t.Helper()
	module, err := stage.Module()
	must(t, err)
	text, err := os.ReadFile(filepath.Join(module, "testdata/catalogue.yaml"))
	must(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/admin/v1/catalogue",
		strings.NewReader(strings.NewReplacer(replace...).Replace(string(text))))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+s.AdminKey)
	r.Header.Set("Content-Type", "application/yaml")
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("catalogue: %d %s %v", res.StatusCode, answer, err)
	}
}

// consent is what the device holds of a key.
func consent(t *testing.T, a *stage.Agent, key cardea.Key) (client.Consent, error) {
	t.Helper()
	state, err := a.Consents(context.Background())
	for _, c := range state.Consents {
		if c.Key == key {
			return c, nil
		}
	}
	return client.Consent{}, fmt.Errorf("nothing is held of %s: %w", key, err)
}

// TestMaterialNoticeExpiresOffline: what was agreed to before a material change
// ends on its day, on a device that hears nothing any more, by itself.
func TestMaterialNoticeExpiresOffline(t *testing.T) {
	s := newStage(t)
	a, err := s.StartAgent(context.Background(), "car", "car")
	must(t, err)
	phone := newPhone(t, s, "ada@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)

	by := time.Now().Add(5 * time.Second).Truncate(time.Second)
	putCatalogue(t, s,
		"id: recommendations\n    version: 1", "id: recommendations\n    version: 2\n    change: material\n    reconsent_by: "+by.UTC().Format(time.RFC3339),
		"title: Recommendations", "title: Recommendations\n        changed: Another company now gets what you play.",
		"countries: [SE, FI]\n    facets: [use, third_party]", "countries: [SE, FI]\n    facets: [use, third_party, marketing]",
		"          third_party: May we pass what you play", "          marketing: May we write to you about it?\n          third_party: May we pass what you play",
		"title: Empfehlungen", "title: Empfehlungen\n        changed: Ein weiteres Unternehmen bekommt nun, was Sie abspielen.",
		"          third_party: Dürfen wir das, was Sie abspielen", "          marketing: Dürfen wir Ihnen darüber schreiben?\n          third_party: Dürfen wir das, was Sie abspielen",
		"title: 추천", "title: 추천\n        changed: 이제 다른 회사도 재생하신 것을 받아요.",
		"          third_party: 음악 서비스의", "          marketing: 이에 대해 연락드려도 될까요?\n          third_party: 음악 서비스의",
		"title: คำแนะนำ", "title: คำแนะนำ\n        changed: ตอนนี้มีอีกบริษัทหนึ่งได้รับสิ่งที่คุณเล่น",
		"          third_party: ให้เราส่งต่อสิ่งที่คุณเล่น", "          marketing: ให้เราเขียนถึงคุณเรื่องนี้ได้หรือไม่\n          third_party: ให้เราส่งต่อสิ่งที่คุณเล่น",
		"title: おすすめ", "title: おすすめ\n        changed: 再生されたものが、もう1社に渡るようになりました。",
		"          third_party: 音楽サービスの", "          marketing: これについてご連絡してもよいですか？\n          third_party: 音楽サービスの",
	)
	until(t, "the device knows the day", func() error {
		c, err := consent(t, a, recommend)
		if err == nil && (c.ValidUntil != cardea.MillisOf(by) || c.Version != 1 || c.Verdict != cardea.Allow) {
			err = fmt.Errorf("it holds %+v", c)
		}
		return err
	})
	answers(t, a, "recommendations/marketing", cardea.Deny) // what is new waits for its own yes
	a.Network(false)
	if !says(t, s, phone, "Your yes to what was asked before counts until") {
		t.Errorf("the owner is not told: %s", phone.Text())
	}
	const clocks = 300 * time.Millisecond // between this process's and the device's
	for {
		asked := time.Now()
		got, err := a.Decide(context.Background(), recommend, cardea.UseCollect)
		must(t, err)
		if got.Verdict == cardea.Deny {
			if got.Reason != cardea.ReasonExpired || time.Now().Before(by.Add(-clocks)) {
				t.Fatalf("%s %s before its day", got.Reason, time.Until(by))
			}
			break
		}
		if asked.After(by.Add(clocks)) {
			t.Fatalf("%s after its day the device answers %s", asked.Sub(by), got.Verdict)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !says(t, s, phone, "Off. Your yes ended on") {
		t.Errorf("the owner is not told of the end: %s", phone.Text())
	}

	a.Network(true)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	if c, err := consent(t, a, recommend); err != nil || c.Version != 2 {
		t.Errorf("asked anew it holds %+v %v", c, err)
	}
}
