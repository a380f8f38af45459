package localapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/internal/web"
)

// A caller is the peer of one connection and the program it was found to be,
// or nil.
type caller struct {
	peer    programs.Peer
	program *programs.Program
	conn    net.Conn
	carry   *carrier
	user    *user
}

// An object is what a call is about, where a program's file lists what it may
// name: a cardea.PurposeID, a cardea.PreferenceKey or an audience.
type object any

type audience string

// permit is the one place where a caller is allowed or refused anything, and
// where either is written down; the same refusal over and over is counted
// instead. It wants the entitlement and every object to be
// in the program's file. A scoped call passes here twice and is written down
// when its objects are known, or refused.
func (s *Server) permit(ctx context.Context, c caller, rt route, on ...object) error {
	err := c.may(rt.need, on)
	if err == nil && rt.scoped && len(on) == 0 {
		return nil
	}
	level, with := rt.level(err), []slog.Attr(nil)
	write := s.log.Enabled(ctx, level)
	if write && err != nil {
		with, write = c.user.refusal(time.Now())
	}
	if write {
		s.log.LogAttrs(ctx, level, "local call", append(with, slog.String("call", rt.method+" "+rt.path), slog.Bool("allowed", err == nil),
			slog.String("program", c.name()), slog.Uint64("uid", uint64(c.peer.UID)), slog.Int("pid", int(c.peer.PID)), slog.Any("on", on))...)
	}
	return err
}

// level keeps what only reads out of an ordinary log: programs ask often.
func (rt route) level(err error) slog.Level {
	switch {
	case err != nil:
		return slog.LevelWarn
	case rt.method == http.MethodGet || rt.need == programs.MayDecide || rt.need == programs.MayEvents:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (c caller) name() string {
	if c.program == nil {
		return ""
	}
	return c.program.Name
}

// may is the rule itself. Each refusal names its remedy.
func (c caller) may(need programs.Entitlement, on []object) error {
	p := c.program
	if need == programs.Anybody {
		return nil
	}
	if p == nil {
		return web.Errorf(http.StatusForbidden, "not_registered",
			"no file in apps.d is for this caller (user %d, group %d, unit %q): add one with \"user\", \"group\" or \"unit\" and restart the agent",
			c.peer.UID, c.peer.GID, c.peer.Unit)
	}
	if !p.May(need) {
		return refuse(p, "entitlements", string(need))
	}
	for _, o := range on {
		switch o := o.(type) {
		case cardea.PurposeID:
			if !p.MayPurpose(o) {
				return refuse(p, "purposes", string(o))
			}
		case cardea.PreferenceKey:
			if !p.MayPreference(o) {
				return refuse(p, "preferences", string(o))
			}
		case audience:
			if !p.MayAudience(string(o)) {
				return refuse(p, "audiences", string(o))
			}
		default:
			return refuse(p, "purposes", "unknown object")
		}
	}
	return nil
}

func refuse(p *programs.Program, list, item string) error {
	return web.Errorf(http.StatusForbidden, "not_entitled",
		"program %q may not: add %.64q to %s in %s and restart the agent", p.Name, item, list, p.File())
}
