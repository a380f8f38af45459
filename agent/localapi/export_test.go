package localapi

import (
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
)

// Wrap puts a watcher in front of all calls.
func (s *Server) Wrap(f func(http.Handler) http.Handler) { s.handler = f(s.handler) }

// Crowd has a user have all they may have at once.
func (s *Server) Crowd(uid int) {
	u := s.crowd.of(uint32(uid))
	u.watches, u.remote = maxWatchesOfUser, maxRemoteOfUser
}

// Use has a program use a feature.
func (s *Server) Use(program string, link cardea.LinkID, key cardea.Key) {
	s.prompts.use(question{program, link, key}, time.Now())
}

// Pass lets time pass for the prompts.
func (s *Server) Pass(d time.Duration) {
	for _, list := range []map[question]time.Time{s.prompts.used, s.prompts.shown} {
		for q, at := range list {
			list[q] = at.Add(-d)
		}
	}
}

// Calls lists what is served, as "GET /v1/status".
func (s *Server) Calls() []string {
	var all []string
	for _, rt := range s.table() {
		all = append(all, rt.method+" "+rt.path)
	}
	return all
}
