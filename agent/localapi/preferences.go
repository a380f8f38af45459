package localapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/devicedb"
)

// identity says who is here.
func (s *Server) identity(c *call) error {
	link, err := s.held()
	if err != nil {
		return err
	}
	who := client.Identity{Link: link.ID, Subject: link.Body.Identity.Subject, Name: link.Body.Identity.Name}
	if s.Gate.Fresh(link.ID, cardea.MaxRoleAge) {
		who.Roles = link.Body.Identity.Roles
	}
	return c.answer(who)
}

// preferences are those of one purpose, if the query names one.
func (s *Server) preferences(c *call) error {
	q, err := c.query("purpose")
	if err != nil {
		return err
	}
	generation := s.Gate.Generation()
	link, err := s.held()
	if err != nil {
		return err
	}
	shown, _ := s.settings(c.caller.program, link)
	if q.Has("purpose") {
		shown = slices.DeleteFunc(shown, func(p client.Preference) bool { return string(p.Purpose) != q.Get("purpose") })
	}
	return c.answer(client.Preferences{Generation: generation, Link: link.ID, Head: link.Head, Preferences: shown})
}

// settings are the preferences the program may see, and for how long that is so
// at most. One that is under a consent is there while that is allowed, for a
// program that may ask about its purpose; one that is over is gone.
func (s *Server) settings(p *programs.Program, link devicedb.Link) ([]client.Preference, time.Duration) {
	own := ownValues(link.Log)
	now, left := s.Gate.Clock(), time.Hour
	out := []client.Preference{}
	for _, stated := range link.Body.Preferences {
		if !p.MayPreference(stated.Key) || stated.Gone(now) {
			continue
		}
		if stated.ValidUntil != 0 {
			left = min(left, stated.ValidUntil.Sub(now.Time))
		}
		if stated.Under != "" {
			a := s.Gate.DecideFor(link.ID, cardea.Query{Key: stated.Under, Use: cardea.UseLocal})
			if !p.MayPurpose(stated.Under.Purpose()) || !a.Allowed() {
				continue
			}
			left = min(left, a.Left)
		}
		if v, ok := own[stated.Key]; ok {
			stated.Value, stated.Source, stated.Since = v, cardea.ChannelDevice, 0
		}
		if json.Valid([]byte(stated.Value)) {
			out = append(out, settingOf(stated))
		}
	}
	return out, left
}

// ownValues are what was set here and the cloud has not acknowledged. They stand
// over what was stated, or a knob would jump back.
func ownValues(log cardea.Log) map[cardea.PreferenceKey]cardea.Value {
	own := map[cardea.PreferenceKey]cardea.Value{}
	for _, e := range log.Entries {
		if e.Act == cardea.ActPrefer {
			own[e.Preference] = e.Value
		}
	}
	return own
}

func settingOf(p cardea.Preference) client.Preference {
	return client.Preference{
		Key: p.Key, Value: json.RawMessage(p.Value), Source: cmp.Or(p.Source, client.SourceDefault), Since: p.Since,
		Purpose: p.Under.Purpose(), ValidUntil: p.ValidUntil,
	}
}

func (s *Server) prefer(c *call) error {
	var req client.PreferenceChange
	if err := c.read(&req); err != nil {
		return err
	}
	key, err := cardea.ParsePreferenceKey(string(req.Key))
	if err != nil {
		return err
	}
	if err := c.permit(key); err != nil {
		return err
	}
	value, err := cardea.ParseValue(string(req.Value))
	if err != nil {
		return invalid("value: %v", err)
	}
	reach, err := reachOf(req.Reach)
	if err != nil {
		return err
	}
	link, err := s.present(req.Link)
	if err != nil {
		return err
	}
	// One that is absent is not for this device, or belongs to a purpose that
	// is not given: nothing may be kept for it.
	shown, _ := s.settings(c.caller.program, link)
	if !slices.ContainsFunc(shown, func(p client.Preference) bool { return p.Key == key }) {
		return web.Errorf(http.StatusNotFound, "unknown_preference", "nobody can set %q here now: GET /v1/preferences lists what can be set", key)
	}
	base := link.Head
	if req.Head != nil {
		base = *req.Head
	}
	if err := s.Decider.Prefer(link.ID, key, value, reach, base); err != nil {
		return err
	}
	return c.answer(client.Noted{Pending: true, Generation: s.Gate.Generation()})
}
