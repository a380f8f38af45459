package localapi

import (
	"net/http"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/web"
)

// page hands the program's page over: its file comes beside the answer.
func (s *Server) page(c *call) error {
	if s.Pager == nil {
		return web.Errorf(http.StatusServiceUnavailable, "no_page", "this agent has no pages: ask with POST /v1/decide")
	}
	file, err := s.Pager.Page(c.caller.program.Name, c.caller.program.MayPurpose)
	if err != nil {
		return web.Errorf(http.StatusServiceUnavailable, "no_page", "ask with POST /v1/decide: %v", err)
	}
	c.caller.carry.give(file)
	return c.answer(client.Page{Bytes: 4096})
}
