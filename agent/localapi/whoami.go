package localapi

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cardea-id/cardea/agent/client"
)

const whoamiPath = "/v1/whoami"

// whoami tells callers what the agent sees of them. It is the one call a
// stranger may make: what it says of anything but the caller is where the
// programs' files are.
func (s *Server) whoami(c *call) error {
	peer := c.caller.peer
	if peer.Unit == "" { // no rule asked for it yet
		if p, err := peerOf(c.caller.conn, true); err == nil {
			peer = p
		}
	}
	who := client.Whoami{PID: peer.PID, UID: peer.UID, GID: peer.GID, Unit: peer.Unit}
	if p := c.caller.program; p != nil {
		who.Program = p.Name
		who.Rule = &client.Rule{File: p.file, User: p.User, Group: p.Group, Unit: p.Unit}
		who.Entitlements, who.Purposes = texts(p.Entitlements), texts(p.Purposes)
		who.Audiences, who.Preferences = p.Audiences, texts(p.Preferences)
	} else {
		who.Remedy, who.File = s.Registry.remedy(peer), example(peer)
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

// remedy says how a caller becomes a program: where a rule nearly is for it, by
// what it differs.
func (r *Registry) remedy(peer Peer) string {
	for _, p := range r.programs {
		if p.uid == nil || *p.uid != peer.UID {
			continue
		}
		var differs []string
		if p.Unit != "" && p.Unit != peer.Unit {
			differs = append(differs, fmt.Sprintf("unit %q", p.Unit))
		}
		if p.gid != nil && !peer.inGroup(*p.gid) {
			differs = append(differs, fmt.Sprintf("group %q", p.Group))
		}
		return fmt.Sprintf("%s is for your user, but only in %s: run there, or add a file of your own to %s and restart the agent",
			p.file, strings.Join(differs, " and "), r.dir)
	}
	return fmt.Sprintf("No file in %s is for you: add one such as this and restart the agent.", filepath.Clean(r.dir))
}

// example is a file for a caller, with nothing in it that it must not have.
func example(peer Peer) string {
	who := fmt.Sprintf("user = \"%d\"\n", peer.UID)
	if strings.HasSuffix(peer.Unit, ".service") {
		who = fmt.Sprintf("unit = %q\n", peer.Unit)
	}
	return "name = \"my-program\"\n" + who + "entitlements = [\"decide\"]\npurposes = [\"recommendations\"]\n"
}
