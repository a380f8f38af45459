package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// A provider is another project's identity provider (provider.mjs). It can be
// broken, killed and started again.
type provider struct {
	*script
	house *house
	port  string
	file  string

	mu   sync.Mutex
	seen []request
}

func (h *house) provider(ctx context.Context) (*provider, error) {
	ports, err := stage.FreePorts(1)
	if err != nil {
		return nil, err
	}
	p := &provider{house: h, port: ports[0], file: filepath.Join(h.dir, "provider.json")}
	return p, p.start(ctx)
}

func (p *provider) address() string { return "127.0.0.1:" + p.port }

func (p *provider) start(ctx context.Context) (err error) {
	p.script, err = p.house.node(ctx, nil, p.note, "provider.mjs", p.port, p.file)
	if err != nil {
		return err
	}
	return p.hear(ctx, nil)
}

// note keeps what others asked than this program.
func (p *provider) note(r request) {
	if r.Request == "POST "+introspection {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, r)
}

// count is how many requests there were of this kind; "" is any.
func (p *provider) count(kind, refusal string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.seen {
		if (kind == "" || r.Request == kind) && (refusal == "" || r.Refusal == refusal) {
			n++
		}
	}
	return n
}

// since lists the requests after the first n, each kind with how often.
func (p *provider) since(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := map[string]int{}
	for _, r := range p.seen[n:] {
		times[fmt.Sprintf("%s %d", r.Request, r.Status)]++
	}
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(times)) {
		out = append(out, fmt.Sprintf("%d× %s", times[kind], kind))
	}
	return strings.Join(out, ", ")
}

func (p *provider) breakWith(ctx context.Context, status int) error {
	return p.do(ctx, map[string]any{"do": "break", "status": status}, nil)
}

// approve does on the provider's pages what an owner does there.
func approve(ctx context.Context, phone *owner.Owner, uri string) error {
	phone.Fill("login", "anna")
	phone.Fill("password", "anything goes")
	if err := confirm(ctx, phone, uri); err != nil {
		return err
	}
	for !strings.Contains(phone.Text(), "Success") {
		button := "Continue"
		if strings.Contains(phone.Text(), "Sign-in") {
			button = "Sign-in"
		}
		if err := phone.Press(ctx, button, ""); err != nil {
			return err
		}
	}
	return nil
}

// confirm goes as far as the page that shows the code.
func confirm(ctx context.Context, phone *owner.Owner, uri string) error {
	if err := phone.Open(ctx, uri); err != nil {
		return err
	}
	return phone.Press(ctx, "Continue", "")
}

// An active token, as the provider describes it (RFC 7662, RFC 9449, Section 6.2).
type active struct {
	Active  bool   `json:"active"`
	Subject string `json:"sub"`
	Confirm struct {
		JKT string `json:"jkt"`
	} `json:"cnf"`
}

// introspection is where a service asks about a token.
const introspection = "/token/introspection"

// introspect asks the provider about an access token, as a service would.
func (p *provider) introspect(ctx context.Context, token string) (a active, err error) {
	form := url.Values{"token": {token}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.address()+introspection, strings.NewReader(form))
	if err != nil {
		return a, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("service", url.QueryEscape("a secret of the service"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return a, fmt.Errorf("introspection: %s", answer.Status)
	}
	return a, json.NewDecoder(answer.Body).Decode(&a)
}

// patience is how long what comes by itself may take.
const patience = 40 * time.Second

// until waits for what comes by itself.
func until(ctx context.Context, try func() error) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
