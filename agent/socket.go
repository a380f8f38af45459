package agent

import (
	"net"
	"strings"
	"time"
)

// A socket stays open from one life of the agent to the next: after a reset,
// programs that connect meanwhile wait and are not refused.
type socket struct{ net.Listener }

// pathOf is the file of a socket's address; "" if it is abstract, and has neither
// mode nor group.
func pathOf(address string) string {
	if strings.HasPrefix(address, "@") {
		return ""
	}
	return address
}

type deadliner interface{ SetDeadline(time.Time) error }

// open takes connections again.
func (s socket) open() { s.deadline(time.Time{}) }

// Close lets go of whoever waits for a connection, and of nothing else.
func (s socket) Close() error { return s.deadline(time.Unix(1, 0)) }

func (s socket) deadline(t time.Time) error {
	if l, ok := s.Listener.(deadliner); ok {
		return l.SetDeadline(t)
	}
	return nil
}
