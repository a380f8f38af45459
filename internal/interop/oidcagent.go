package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/internal/stage"
)

// playOIDCAgent plays Debian's oidc-agent: a public client in C that names itself
// by Basic with an empty secret, and asks every server for openid and
// offline_access.
func playOIDCAgent(ctx context.Context, h *house) error {
	version, err := exec.CommandContext(ctx, "oidc-gen", "--version").Output()
	if err != nil {
		return fmt.Errorf("oidc-gen (apt-get install oidc-agent-cli): %w", err)
	}
	h.peer(strings.TrimSpace(string(version)), "with oidc-agent and oidc-token (Debian's oidc-agent-cli), without a terminal")
	n := 0
	return h.everything(ctx, "oidc-agent@example.com", func(ctx context.Context, s *stage.Stage) (device, error) {
		n++
		return h.keyring(ctx, s, fmt.Sprintf("keyring%d", n))
	})
}

// A keyring is an oidc-agent of its own, with one account in it.
type keyring struct {
	issuer string
	ca     string
	env    []string
	agent  *exec.Cmd
	gen    *exec.Cmd
	rest   chan string // what oidc-gen says after the code, at its end
}

func (h *house) keyring(ctx context.Context, s *stage.Stage, name string) (*keyring, error) {
	dir := filepath.Join(h.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "sock")
	k := &keyring{issuer: s.URL, ca: s.CAFile, env: append(os.Environ(), "OIDC_CONFIG_DIR="+dir, "OIDC_SOCK="+socket, "OIDC_ENCRYPTION_PW=nobody reads this")}
	// It takes itself apart into two processes, so it has a group to be ended by.
	k.agent = exec.CommandContext(ctx, "oidc-agent", "--console", "--quiet", "--no-autoreauthenticate", "-a", socket)
	k.agent.Env, k.agent.SysProcAttr = k.env, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := k.agent.Start(); err != nil {
		return nil, fmt.Errorf("oidc-agent: %w", err)
	}
	return k, appears(ctx, socket)
}

// appears waits for a file.
func appears(ctx context.Context, path string) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not appear", path)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// start runs oidc-gen as far as the code, which it prints for a person to type.
func (k *keyring) start(ctx context.Context) (shown, error) {
	k.gen = exec.CommandContext(ctx, "oidc-gen", "cardea", "--iss="+k.issuer, "--cert-path="+k.ca, "--client-id=tv-app", "--client-secret=", "--manual",
		"--flow=device", "--scope=max", "--pw-env", "--prompt=none", "--confirm-default", "--redirect-uri=http://localhost:4242")
	k.gen.Env = k.env
	out, err := k.gen.StderrPipe()
	if err != nil {
		return shown{}, err
	}
	if err := k.gen.Start(); err != nil {
		return shown{}, fmt.Errorf("oidc-gen: %w", err)
	}
	text := bufio.NewReader(out)
	s, said, err := readCode(text)
	if err != nil {
		k.gen.Wait()
		return s, fmt.Errorf("%w: %s", err, oneLine(said))
	}
	k.rest = make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(text) // its end is told by Wait
		k.rest <- string(rest)
	}()
	return s, nil
}

// readCode reads where to go and what to type there.
func readCode(r *bufio.Reader) (s shown, said string, err error) {
	for s.UserCode == "" {
		line, err := r.ReadString('\n')
		said += line
		if err != nil {
			return s, said, errors.New("oidc-gen shows no code")
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "http://") || strings.HasPrefix(line, "https://") {
			s.URI = line
		}
		if _, code, ok := strings.Cut(line, "enter the code: "); ok {
			s.UserCode = code
		}
	}
	s.URI += "?" + url.Values{"code": {s.UserCode}}.Encode()
	return s, said, nil
}

// poll waits for the end of oidc-gen, which polls by itself.
func (k *keyring) poll(ctx context.Context) (tokens, error) {
	rest := <-k.rest
	if err := k.gen.Wait(); err != nil {
		return tokens{}, errors.New(lastLine(rest))
	}
	return k.token(ctx)
}

func (k *keyring) refresh(ctx context.Context) (tokens, error) { return k.token(ctx, "--force-new") }

// token asks for an access token, as other programs of the machine do.
func (k *keyring) token(ctx context.Context, args ...string) (tokens, error) {
	var stderr bytes.Buffer
	ask := exec.CommandContext(ctx, "oidc-token", append(args, "cardea")...)
	ask.Env, ask.Stderr = k.env, &stderr
	out, err := ask.Output()
	if err != nil {
		return tokens{}, errors.New(oneLine(stderr.String()))
	}
	return readToken(strings.TrimSpace(string(out)))
}

// readToken reads what oidc-token does not print out of the token itself.
func readToken(token string) (tokens, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return tokens{}, fmt.Errorf("not an access token: %s", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return tokens{}, err
	}
	var c struct {
		Scope    string `json:"scope"`
		IssuedAt int    `json:"iat"`
		Expires  int    `json:"exp"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return tokens{}, err
	}
	return tokens{AccessToken: token, Type: "bearer", Scope: c.Scope, ExpiresIn: c.Expires - c.IssuedAt}, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// told: it passes the server's words on to a person.
func (k *keyring) told(err error, code string) bool {
	return strings.Contains(err.Error(), code)
}

func (k *keyring) close() {
	if k.gen != nil && k.gen.ProcessState == nil {
		k.gen.Process.Kill()
		k.gen.Wait()
	}
	syscall.Kill(-k.agent.Process.Pid, syscall.SIGTERM)
	k.agent.Wait()
}
