package localapi

import (
	"encoding/json"
	"net/http"
	"slices"

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
	return c.answer(client.Identity{Link: link.ID, Subject: link.Body.Identity.Subject, Name: link.Body.Identity.Name})
}

func (s *Server) preferences(c *call) error {
	generation := s.Gate.Generation()
	link, err := s.held()
	if err != nil {
		return err
	}
	return c.answer(client.Preferences{
		Generation: generation, Link: link.ID, Head: link.Head, Preferences: settings(c.caller.program, link),
	})
}

// settings are the preferences the program may see. What was set here and the
// cloud has not acknowledged stands over what was stated, or a knob would jump
// back.
func settings(p *programs.Program, link devicedb.Link) []client.Preference {
	own := map[cardea.PreferenceKey]cardea.Value{}
	for _, e := range link.Log.Entries {
		if e.Act == cardea.ActPrefer {
			own[e.Preference] = e.Value
		}
	}
	out := []client.Preference{}
	for _, stated := range link.Body.Preferences {
		if !p.MayPreference(stated.Key) {
			continue
		}
		value := stated.Value
		if v, ok := own[stated.Key]; ok {
			value = v
		}
		if !json.Valid([]byte(value)) {
			continue
		}
		out = append(out, client.Preference{Key: stated.Key, Value: json.RawMessage(value)})
	}
	return out
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
	value, err := scalar(req.Value)
	if err != nil {
		return err
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
	if !slices.ContainsFunc(link.Body.Preferences, func(p cardea.Preference) bool { return p.Key == key }) {
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

// scalar reads a JSON scalar and writes it in its shortest form.
func scalar(text json.RawMessage) (cardea.Value, error) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return "", invalid("value: a JSON scalar such as true, 21 or \"de\"")
	}
	switch v.(type) {
	case bool, float64, string:
	default:
		return "", invalid("value: a JSON scalar such as true, 21 or \"de\"")
	}
	short, err := json.Marshal(v)
	if err != nil || len(short) > cardea.MaxValueBytes {
		return "", invalid("value: at most %d bytes", cardea.MaxValueBytes)
	}
	return cardea.Value(short), nil
}
