package preferences

import (
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

func (p *Room) showMessages(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	asked, err := p.ledger.Communication(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	body := sheet{Lead: v.Language.Text("preferences.messages_lead"), Empty: v.Language.Text("preferences.no_messages")}
	at := place{visit: v, action: messagesPage, base: desk.BaseText(asked.Head), now: time.Now()}
	for _, t := range asked.Topics {
		body.Groups = append(body.Groups, at.topic(t))
	}
	if len(asked.Topics) > 0 {
		body.Groups = append(body.Groups, group{
			ID: "quiet", Title: language.Phrase{Text: v.Language.Text("preferences.when")}, Settings: []setting{at.setting(asked.Quiet), at.setting(asked.Zone)},
		})
	}
	return p.show(w, v, "preferences.messages", body)
}

// topic is a card: whether its consent is given, and what is wanted by each
// medium.
func (at place) topic(t ledger.TopicChoice) group {
	given := t.Standing.Given() && (t.Standing.ValidUntil == 0 || t.Standing.ValidUntil.Time().After(at.now))
	g := group{
		ID: "t-" + t.Topic.Key, Title: at.visit.Language.Phrase(t.Title, t.Language), Asked: true, On: given, State: at.visit.Language.Text("preferences.not_allowed"),
		Question: at.visit.Language.Phrase(t.Question, t.Language), Link: desk.Home + "#" + desk.Anchor(t.Topic.Consent),
	}
	if given {
		g.State = at.visit.Language.Text("preferences.allowed")
	}
	for _, w := range t.Wishes {
		g.Settings = append(g.Settings, at.setting(w.PreferenceChoice))
	}
	return g
}

// postMessage takes one wish.
func (p *Room) postMessage(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	asked, err := p.ledger.Communication(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	offered := []ledger.PreferenceChoice{asked.Quiet, asked.Zone}
	for _, t := range asked.Topics {
		for _, wish := range t.Wishes {
			offered = append(offered, wish.PreferenceChoice)
		}
	}
	key := cardea.PreferenceKey(r.PostFormValue("preference"))
	for _, c := range offered {
		if key != "" && c.Def.Key == key {
			return p.set(w, r, v, change{def: c.Def, class: cardea.ClassB, page: messagesPage})
		}
	}
	return gone(messagesPage)
}
