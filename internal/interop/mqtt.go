package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A visitor is who connects to the broker, and as whom.
type visitor struct {
	broker   string // host:port
	user     string
	password string
	id       string // client id; empty: the program's own
	ca       string // file with the authority to trust; empty: without TLS
}

// args are what mosquitto_sub and mosquitto_pub are started with.
func (v visitor) args(more ...string) []string {
	host, port, err := net.SplitHostPort(v.broker)
	if err != nil {
		panic(err) // the stage made it
	}
	args := []string{"-d", "-h", host, "-p", port, "-u", v.user, "-P", v.password}
	if v.ca != "" {
		args = append(args, "--cafile", v.ca)
	}
	if v.id != "" {
		args = append(args, "-i", v.id)
	}
	return append(args, more...)
}

// A message is one that mosquitto_sub got.
type message struct {
	retained bool
	topic    string
	payload  []byte
}

// format makes mosquitto_sub print what readMessage reads.
var format = []string{"-F", "message %r %t %x"}

func readMessage(line string) (m message, ok bool) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "message" {
		return m, false
	}
	if len(words) == 4 {
		var err error
		if m.payload, err = hex.DecodeString(words[3]); err != nil {
			return m, false
		}
	}
	m.retained, m.topic = words[1] == "1", words[2]
	return m, true
}

// A listener is a mosquitto_sub that goes on listening.
type listener struct {
	cmd      *exec.Cmd
	messages chan message
	ready    chan struct{} // closed with the first subscription

	mu        sync.Mutex
	connected int // how often
}

func listen(ctx context.Context, v visitor, topic string) (*listener, error) {
	// Without stdbuf its lines would come by the page.
	args := append([]string{"-oL", "mosquitto_sub"}, v.args(append(format, "-t", topic)...)...)
	l := &listener{cmd: exec.CommandContext(ctx, "stdbuf", args...), messages: make(chan message, 100), ready: make(chan struct{})}
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.cmd.Stderr = l.cmd.Stdout
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("mosquitto_sub: %w", err)
	}
	go l.read(out)
	select {
	case <-l.ready:
		return l, nil
	case <-time.After(10 * time.Second):
		l.close()
		return nil, errors.New("mosquitto_sub is not subscribed")
	}
}

func (l *listener) read(out io.Reader) {
	subscribed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if m, ok := readMessage(line); ok {
			l.messages <- m
		}
		if strings.Contains(line, "received CONNACK (0)") {
			l.mu.Lock()
			l.connected++
			l.mu.Unlock()
		}
		if !subscribed && strings.HasPrefix(line, "Subscribed (mid: 1): 0") {
			subscribed = true
			close(l.ready)
		}
	}
}

// connections is how often it has connected.
func (l *listener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connected
}

func (l *listener) close() {
	l.cmd.Process.Kill()
	l.cmd.Wait()
}

// An outcome is what became of a run of a program.
type outcome struct {
	text     string
	messages []message
}

// attempt runs mosquitto_sub or mosquitto_pub to its end, at most for a time.
func attempt(ctx context.Context, limit time.Duration, program string, stdin []byte, args ...string) outcome {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	run := exec.CommandContext(ctx, "stdbuf", append([]string{"-oL", program}, args...)...)
	run.Stdin = bytes.NewReader(stdin)
	out, _ := run.CombinedOutput() // what it printed says more than its status
	var o outcome
	var rest []string
	for line := range strings.Lines(string(out)) {
		if m, ok := readMessage(line); ok {
			o.messages = append(o.messages, m)
		} else if line = strings.TrimSpace(line); telling(line) {
			rest = append(rest, line)
		}
	}
	if o.text = strings.Join(rest, "; "); o.text == "" {
		o.text = "the broker says nothing"
	}
	return o
}

// telling drops what every run prints.
func telling(line string) bool {
	for _, dull := range []string{"sending CONNECT", "received CONNACK (0)", "sending DISCONNECT", "sending SUBSCRIBE", "sending PUBLISH", "received SUBACK", "sending PINGREQ"} {
		if strings.Contains(line, dull) {
			return false
		}
	}
	return line != ""
}
