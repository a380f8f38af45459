package localapi

import "net/http"

// Wrap puts a watcher in front of all calls.
func (s *Server) Wrap(f func(http.Handler) http.Handler) { s.handler = f(s.handler) }

// Calls lists what is served, as "GET /v1/status".
func (s *Server) Calls() []string {
	var all []string
	for _, rt := range s.table() {
		all = append(all, rt.method+" "+rt.path)
	}
	return all
}
