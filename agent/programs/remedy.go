package programs

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Remedy says how a caller becomes a program: where a rule nearly is for it, by
// what it differs.
func (r *Registry) Remedy(peer Peer) string {
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

// Example is a file for a caller, with nothing in it that it must not have.
func Example(peer Peer) string {
	who := fmt.Sprintf("user = \"%d\"\n", peer.UID)
	if strings.HasSuffix(peer.Unit, ".service") {
		who = fmt.Sprintf("unit = %q\n", peer.Unit)
	}
	return "name = \"my-program\"\n" + who + "entitlements = [\"decide\"]\npurposes = [\"recommendations\"]\n"
}
