package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cardea-id/cardea/internal/stage"
)

// A script is a program for node that answers one line of JSON to each command.
// Lines in between that name a request are what it was asked by others.
type script struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan []byte
	stderr  bytes.Buffer // read after the end only
	heard   func(request)
}

// A request is one that the script's server got.
type request struct {
	Request string `json:"request"` // such as "POST /token"
	Status  int    `json:"status"`
	Refusal string `json:"refusal"` // error code of RFC 6749, if it was one
}

// node starts a script of the folder, which trusts the stage's authority. heard
// may be nil, and so may the stage.
func (h *house) node(ctx context.Context, s *stage.Stage, heard func(request), name string, args ...string) (*script, error) {
	js := &script{
		cmd:     exec.CommandContext(ctx, "node", append([]string{filepath.Join(h.npm, name)}, args...)...),
		answers: make(chan []byte), heard: heard,
	}
	if s != nil {
		js.cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+s.CAFile)
	}
	js.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	js.cmd.Stderr = &js.stderr
	out, err := js.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if js.in, err = js.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := js.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	go js.read(out)
	return js, nil
}

func (s *script) read(out io.Reader) {
	defer close(s.answers)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var r request
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Request != "" {
			if s.heard != nil {
				s.heard(r)
			}
			continue
		}
		s.answers <- bytes.Clone(lines.Bytes())
	}
}

// do sends a command and reads the answer into v. What the script's library
// refused or was refused is a *problem.
func (s *script) do(ctx context.Context, command map[string]any, v any) error {
	line, err := json.Marshal(command)
	if err != nil {
		return err
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return s.ended()
	}
	return s.hear(ctx, v)
}

// hear reads the next answer.
func (s *script) hear(ctx context.Context, v any) error {
	select {
	case line, ok := <-s.answers:
		if !ok {
			return s.ended()
		}
		return readAnswer(line, v)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readAnswer(line []byte, v any) error {
	var failed struct {
		Problem *problem `json:"problem"`
	}
	if err := json.Unmarshal(line, &failed); err != nil {
		return fmt.Errorf("not an answer: %s", line)
	}
	if failed.Problem != nil {
		return failed.Problem
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(line, v)
}

func (s *script) ended() error {
	s.cmd.Wait()
	return errors.New("the script ended: " + strings.TrimSpace(s.stderr.String()))
}

// kill ends the script at once.
func (s *script) kill() {
	s.cmd.Process.Kill()
	for range s.answers { // until it has ended
	}
	s.cmd.Wait()
}

// A problem is an error as a library showed it to its developer.
type problem struct {
	Name        string `json:"name"`
	Message     string `json:"message"`
	Code        string `json:"code"`
	Err         string `json:"error"` // of RFC 6749, Section 5.2
	Description string `json:"description"`
	Status      int    `json:"status"`
	Cause       string `json:"cause"`
}

func (p *problem) Error() string {
	if p.Err != "" {
		return p.Err + ": " + p.Description
	}
	return strings.TrimSpace(p.Name + ": " + p.Message + " " + p.Cause)
}
