package localapi

import (
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
)

const whoamiPath = "/v1/whoami"

// whoami tells callers what the agent sees of them. It is the one call a
// stranger may make: what it says of anything but the caller is where the
// programs' files are.
func (s *Server) whoami(c *call) error {
	peer := c.caller.peer.Located(c.caller.conn)
	who := client.Whoami{PID: peer.PID, UID: peer.UID, GID: peer.GID, Unit: peer.Unit}
	if p := c.caller.program; p != nil {
		who.Program = p.Name
		who.Rule = &client.Rule{File: p.File(), User: p.User, Group: p.Group, Unit: p.Unit}
		who.Entitlements, who.Purposes = texts(p.Entitlements), texts(p.Purposes)
		who.Audiences, who.Preferences = p.Audiences, texts(p.Preferences)
	} else {
		who.Remedy, who.File = s.Registry.Remedy(peer), programs.Example(peer)
	}
	return c.answer(who)
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = string(item)
	}
	return out
}
