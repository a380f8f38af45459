// Package stage sets up a whole house in a scratch folder: the cloud and any
// number of agents, as the real programs in processes of their own, each agent
// behind a cable that can be pulled. The demonstration, the end-to-end tests
// and the benchmarks all play on it.
package stage

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/authority"
)

// Config says what to set up.
type Config struct {
	Bin       string // folder with cardea-cloud and cardea-agent
	Dir       string // scratch folder
	Host      string // address others reach this machine by; default 127.0.0.1
	Catalogue string // YAML file
	Clients   string // more clients of the cloud, as TOML
	More      string // more of the cloud's configuration, as TOML without tables
	CodeLife  string // of the cloud's codes, such as "8s"; default ten minutes
	Scope     string // what agents ask for; default: whatever they may
	TLS       bool   // the cloud has a certificate by an authority of this run

	// Ports are those of HTTP, of MQTT, and of the cable by which devices reach
	// MQTT, for a stage on the files of another one. Default: free ones.
	Ports [3]string
}

// A Stage is a cloud that runs.
type Stage struct {
	Config
	URL      string // the issuer: what phones and devices are told
	Listen   string // host:port of HTTP, at the cloud's end
	MQTT     string // host:port of MQTT, at the cloud's end
	AdminKey string
	Cloud    *Process

	// Front is where the HTTP of devices started from now on goes, host:port;
	// whoever listens there passes it on. Default: straight to the cloud.
	Front string

	// Authority vouches for the cloud on a stage with TLS, and CAFile is what the
	// devices started from now on are given of it. Anchors are files with the
	// authorities that the cloud, when it starts, announces with its keys.
	Authority *authority.Authority
	CAFile    string
	Anchors   []string

	web    *http.Client
	door   *Proxy // phones on the network come by it; nil if there are none
	cable  *Proxy // every device's MQTT goes through it
	agents []*Agent
}

// An Agent is a device that runs, with a cable of its own for HTTP.
type Agent struct {
	*client.Client
	Process *Process
	Dir     string
	Socket  string
	stage   *Stage
	http    *Proxy
}

// Start sets up the cloud and waits until it answers.
func Start(ctx context.Context, c Config) (*Stage, error) {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	s := &Stage{Config: c, AdminKey: rand.Text()}
	if s.Ports == [3]string{} {
		ports, err := FreePorts(2)
		if err != nil {
			return nil, err
		}
		s.Ports = [3]string{ports[0], ports[1], "0"}
	}
	s.Listen = net.JoinHostPort("127.0.0.1", s.Ports[0])
	s.MQTT = net.JoinHostPort("127.0.0.1", s.Ports[1])
	var err error
	if s.cable, err = NewProxy(net.JoinHostPort("127.0.0.1", s.Ports[2]), s.MQTT); err != nil {
		return nil, err
	}
	_, s.Ports[2], _ = net.SplitHostPort(s.cable.Addr()) // it listens there
	if err = s.open(); err == nil {
		err = s.StartCloud(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open gives the cloud its address. It listens on the loopback alone: whoever
// comes from the network comes by a cable, and so the cloud need not know of it.
func (s *Stage) open() (err error) {
	at := s.Listen
	if s.Host != "127.0.0.1" {
		if s.door, err = NewProxy(net.JoinHostPort(s.Host, "0"), s.Listen); err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(s.door.Addr()) // it listens there
		at = net.JoinHostPort(s.Host, port)
	}
	s.URL = "http://" + at
	if s.TLS {
		s.URL = "https://" + at
		err = s.protect()
	}
	s.web = &http.Client{Transport: s.Transport()}
	return err
}

// Foreign sets up a stage whose server is somebody else's, at host:port.
func Foreign(c Config, address string) (*Stage, error) {
	s := &Stage{Config: c, Listen: address, URL: "http://" + address}
	var err error
	// Its devices are told of no broker; the cable has nobody at its end.
	s.cable, err = NewProxy("127.0.0.1:0", address)
	return s, err
}

// StartCloud starts the cloud on what is in its folder.
func (s *Stage) StartCloud(ctx context.Context) error {
	path := filepath.Join(s.Dir, "cloud.toml")
	err := s.configureCloud(path, map[string]any{"Listen": s.Listen, "Data": filepath.Join(s.Dir, "cloud")})
	if err != nil {
		return err
	}
	if s.Cloud, err = startProcess(filepath.Join(s.Bin, "cardea-cloud"), filepath.Join(s.Dir, "cloud.log"), "-config", path); err != nil {
		return err
	}
	return s.Cloud.until(ctx, func() error { return answers(s.web, s.URL) })
}

// configureCloud writes a cloud's configuration, with what is its own.
func (s *Stage) configureCloud(path string, own map[string]any) error {
	values := map[string]any{
		"Issuer": s.URL, "MQTT": s.MQTT, "MQTTURL": s.mqttURL(),
		"Catalogue": s.Catalogue, "Key": fmt.Sprintf("%x", sha256.Sum256([]byte(s.AdminKey))), "Clients": s.Clients, "More": s.More,
		"CodeLife": s.CodeLife, "TLS": s.TLS, "Cert": s.tlsFile("cert.pem"), "CertKey": s.tlsFile("key.pem"), "Anchors": s.Anchors,
	}
	maps.Copy(values, own)
	return render(path, cloudConfig, values)
}

// answers reports why a cloud does not answer, or nil.
func answers(web *http.Client, url string) error {
	r, err := web.Get(url + "/.well-known/oauth-authorization-server")
	if err == nil {
		r.Body.Close()
	}
	return err
}

func (s *Stage) mqttURL() string {
	if s.TLS {
		return "tls://" + s.cable.Addr()
	}
	return "tcp://" + s.cable.Addr()
}

// A Program of another user may ask an agent.
type Program struct {
	Name         string
	UID          int
	Entitlements []string
}

// StartAgent starts a device of a kind, "speaker" or "car". Programs of this
// user may ask it everything; what others may is said.
func (s *Stage) StartAgent(ctx context.Context, name, kind string, others ...Program) (*Agent, error) {
	a := &Agent{stage: s, Dir: filepath.Join(s.Dir, name)}
	a.Socket = filepath.Join(a.Dir, "agent.sock")
	a.Client = client.New(a.Socket)
	var err error
	if a.http, err = NewProxy("127.0.0.1:0", cmp.Or(s.Front, s.Listen)); err != nil {
		return nil, err
	}
	if err := a.configure(kind, others); err != nil {
		return nil, err
	}
	s.agents = append(s.agents, a)
	return a, a.Start(ctx)
}

func (a *Agent) configure(kind string, others []Program) error {
	apps := filepath.Join(a.Dir, "apps.d")
	if err := os.MkdirAll(apps, 0o755); err != nil {
		return fmt.Errorf("agent's folder: %w", err)
	}
	programs := append([]Program{{Name: "stage", UID: os.Getuid(), Entitlements: entitlements}}, others...)
	for _, p := range programs {
		if err := render(filepath.Join(apps, p.Name+".toml"), programConfig, p); err != nil {
			return err
		}
	}
	// The socket belongs to the group of the last program.
	return render(filepath.Join(a.Dir, "agent.toml"), agentConfig, map[string]any{
		"Issuer": a.stage.URL, "Connect": a.http.Addr(), "State": filepath.Join(a.Dir, "state"), "Run": filepath.Join(a.Dir, "run"),
		"Socket": a.Socket, "Group": programs[len(programs)-1].UID, "Apps": apps, "Kind": kind, "Scope": a.stage.Scope,
		"CAFile": a.stage.CAFile,
	})
}

// Start starts the agent on what is in its folder and waits until it answers.
func (a *Agent) Start(ctx context.Context) error {
	var err error
	a.Process, err = startProcess(filepath.Join(a.stage.Bin, "cardea-agent"), filepath.Join(a.Dir, "agent.log"),
		"-config", filepath.Join(a.Dir, "agent.toml"))
	if err != nil {
		return err
	}
	return a.Process.until(ctx, func() error {
		_, err := a.Status(ctx)
		return err
	})
}

// Network plugs the device's cables in, or pulls them: HTTP and MQTT.
func (a *Agent) Network(on bool) {
	a.http.Cut(!on)
	a.stage.cable.Cut(!on)
}

// Broker is the host:port at which devices are told to find the broker.
func (s *Stage) Broker() string { return s.cable.Addr() }

// TapBroker has f told what devices send to the broker, and Tap what this one
// sends by HTTP; see Proxy.Tap.
func (s *Stage) TapBroker(f func(conn int, sent []byte)) { s.cable.Tap(f) }

// Tap is as TapBroker, for HTTP.
func (a *Agent) Tap(f func(conn int, sent []byte)) { a.http.Tap(f) }

// BrokerCable plugs every device's cable to the broker in, or pulls it.
func (s *Stage) BrokerCable(on bool) { s.cable.Cut(!on) }

// Logs is what the programs have written, the last of it.
func (s *Stage) Logs() string {
	var out strings.Builder
	out.WriteString(s.Cloud.lastWords())
	for _, a := range s.agents {
		out.WriteString("\n" + a.Process.lastWords())
	}
	return out.String()
}

// Close stops everything. The folder stays.
func (s *Stage) Close() error {
	var errs []error
	for _, a := range s.agents {
		a.Client.Close()
		errs = append(errs, a.Process.Stop())
		a.http.Close()
	}
	errs = append(errs, s.Cloud.Stop())
	s.cable.Close()
	if s.door != nil {
		s.door.Close()
	}
	return errors.Join(errs...)
}

// FreePorts are ports of this machine's loopback that nobody listens at.
func FreePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func render(path string, t *template.Template, values any) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return errors.Join(t.Execute(f, values), f.Close())
}

// patience is how long a program may take to answer for the first time.
const patience = 20 * time.Second
