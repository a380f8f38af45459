package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// A monitor speaks QMP, QEMU's line of JSON to its operator.
type monitor struct {
	conn   net.Conn
	in     *json.Decoder
	events map[string]int // how often each was heard
}

// patience is how long may be waited for what comes by itself; what must come soon
// has a bound of its own, as noticed. Where others have most of the processors, the
// boot alone has taken a minute.
const patience = 3 * time.Minute

type qmpLine struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
}

// dialMonitor connects once the machine listens at a socket.
func dialMonitor(socket string, ended <-chan struct{}) (*monitor, error) {
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return newMonitor(conn)
		}
		select {
		case <-ended:
			return nil, errors.New("the machine did not start")
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("monitor: %w", err)
		}
	}
}

func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, in: json.NewDecoder(conn), events: map[string]int{}}
	conn.SetDeadline(time.Now().Add(patience))
	var greeting struct{ QMP json.RawMessage }
	if err := m.in.Decode(&greeting); err != nil {
		conn.Close()
		return nil, fmt.Errorf("monitor's greeting: %w", err)
	}
	return m, m.do("qmp_capabilities", nil)
}

// do gives an order and waits until it is done.
func (m *monitor) do(order string, arguments map[string]any) error {
	m.conn.SetDeadline(time.Now().Add(patience))
	text := map[string]any{"execute": order}
	if arguments != nil {
		text["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(text); err != nil {
		return fmt.Errorf("%s: %w", order, err)
	}
	for {
		line, err := m.next()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", order, err)
		case line.Error != nil:
			return fmt.Errorf("%s: %s", order, line.Error.Desc)
		case line.Return != nil:
			return nil
		}
	}
}

// await waits until the machine has told an event, since the monitor was made,
// so many times.
func (m *monitor) await(event string, times int) error {
	m.conn.SetDeadline(time.Now().Add(patience))
	for m.events[event] < times {
		if _, err := m.next(); err != nil {
			return fmt.Errorf("wait for %s: %w", event, err)
		}
	}
	return nil
}

func (m *monitor) next() (qmpLine, error) {
	var line qmpLine
	err := m.in.Decode(&line)
	if line.Event != "" {
		m.events[line.Event]++
	}
	return line, err
}
