package localapi

import "net/http"

// Wrap puts a watcher in front of all calls.
func (s *Server) Wrap(f func(http.Handler) http.Handler) { s.handler = f(s.handler) }

// Crowd has a user have all they may have at once.
func (s *Server) Crowd(uid int) {
	u := s.crowd.of(uint32(uid))
	u.watches, u.remote = maxWatchesOfUser, maxRemoteOfUser
}

// Calls lists what is served, as "GET /v1/status".
func (s *Server) Calls() []string {
	var all []string
	for _, rt := range s.table() {
		all = append(all, rt.method+" "+rt.path)
	}
	return all
}
