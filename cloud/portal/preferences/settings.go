package preferences

import (
	"errors"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

func (p *Room) showSettings(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	asked, err := p.ledger.Page(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	body := sheet{Lead: v.Language.Text("preferences.lead"), Empty: v.Language.Text("preferences.empty")}
	all := group{}
	at := place{visit: v, action: settingsPage, base: desk.BaseText(asked.Head), now: time.Now()}
	for _, c := range asked.Preferences {
		s := at.setting(c)
		if c.Idle {
			s.Idle, s.Link = titleOf(v.Language, asked, c.Def.Purpose), desk.Home+"#"+desk.Anchor(c.Def.Under())
		}
		all.Settings = append(all.Settings, s)
	}
	if len(all.Settings) > 0 {
		body.Groups = []group{all}
	}
	return p.show(w, v, "preferences.title", body)
}

// titleOf is what a purpose is called.
func titleOf(l *language.Language, asked ledger.Page, id cardea.PurposeID) language.Phrase {
	for _, c := range asked.Choices {
		if c.Purpose.ID == id {
			return l.Phrase(c.Text.Title, c.Language)
		}
	}
	return language.Phrase{Text: string(id)}
}

// postSetting takes one setting, for all devices or for one.
func (p *Room) postSetting(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	asked, err := p.ledger.Page(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	key := cardea.PreferenceKey(r.PostFormValue("preference"))
	for _, c := range asked.Preferences {
		if c.Def.Key != key {
			continue
		}
		scope, ok := scopeOf(r, c)
		if !ok {
			break
		}
		return p.set(w, r, v, change{def: c.Def, scope: scope, class: classOf(asked, c.Def), page: settingsPage})
	}
	return gone(settingsPage)
}

// scopeOf is the device a form is about, which must have the preference, or
// everywhere.
func scopeOf(r *http.Request, c ledger.PreferenceChoice) (cardea.Scope, bool) {
	device := cardea.DeviceID(r.PostFormValue("device"))
	if device == "" {
		return cardea.Scope{}, true
	}
	for _, on := range c.On {
		if on.Device == device {
			return cardea.Scope{Device: device}, true
		}
	}
	return cardea.Scope{}, false
}

// classOf is how delicate it is to protect less: as the purpose, and without one
// as what is most delicate.
func classOf(asked ledger.Page, def cardea.PreferenceDef) cardea.Class {
	for _, c := range asked.Choices {
		if c.Purpose.ID == def.Purpose {
			return c.Purpose.Class
		}
	}
	return cardea.ClassA
}

// A change is a setting that was sent.
type change struct {
	def   cardea.PreferenceDef
	scope cardea.Scope
	class cardea.Class
	page  string
}

// set takes a change into the ledger. Its event is new each time, never from the
// form.
func (p *Room) set(w http.ResponseWriter, r *http.Request, v desk.Visit, c change) error {
	base, err := desk.ParseBase(r.PostFormValue("base"))
	if err != nil {
		return desk.ErrForeign
	}
	value, ok := valueOf(c.def, r.PostForm)
	if !ok {
		return rejected(&ledger.RejectedError{Reason: cardea.RejectedValue}, c.page)
	}
	if c.def.Privacy && !c.def.Protects(value) {
		paired, err := p.paired(r, v, c)
		if err != nil {
			return err
		}
		if err := p.SureToWiden(v, c.class, paired, c.page); err != nil {
			return err
		}
	}
	d := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: c.def.Key, Value: value, Base: base}
	said := ledger.Proposal{Decision: d, Channel: cardea.ChannelPortal, Scope: c.scope, Assurance: new(v.Session.Assurance())}
	if _, err := p.ledger.Propose(r.Context(), v.Account, said); err != nil {
		return rejected(err, c.page)
	}
	http.Redirect(w, r, c.page+"#"+anchor(c.def.Key), http.StatusSeeOther)
	return nil
}

// paired is when the oldest device was paired that a change reaches; zero if it
// reaches none.
func (p *Room) paired(r *http.Request, v desk.Visit, c change) (oldest time.Time, err error) {
	devices, err := p.devices.Devices(r.Context(), v.Account)
	for _, d := range devices {
		reached := c.def.On(d.Kind) && (c.scope.Everywhere() || c.scope.Device == d.Device)
		if reached && (oldest.IsZero() || d.Created.Before(oldest)) {
			oldest = d.Created
		}
	}
	return oldest, err
}

func anchor(k cardea.PreferenceKey) string { return "p-" + string(k) }

// rejected says why a setting was not taken, if the ledger refused it.
func rejected(err error, page string) error {
	why, ok := errors.AsType[*ledger.RejectedError](err)
	if !ok {
		return err
	}
	shown := desk.Problem{Status: http.StatusConflict, Link: page, Word: "preferences.see"}
	switch why.Reason {
	case cardea.RejectedConflict, cardea.RejectedBase:
		shown.Key = "preferences.crossed"
	case cardea.RejectedValue:
		shown.Status, shown.Key = http.StatusUnprocessableEntity, "preferences.value"
	case cardea.RejectedTooBig:
		shown.Key = "preferences.too_big"
	default:
		return gone(page)
	}
	return shown
}

func gone(page string) error {
	return desk.Problem{Status: http.StatusNotFound, Key: "preferences.gone", Link: page, Word: "preferences.see"}
}
