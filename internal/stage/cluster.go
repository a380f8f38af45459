package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A Cluster is a stage with two clouds on one database and one broker. Its Listen
// is a balancer's: connections go to the clouds in turn, and to the other one
// when one is not there.
type Cluster struct {
	*Stage
	Nodes  [2]*Node
	broker *Process
	front  *balancer
}

// A Node is one of the clouds.
type Node struct {
	*Process
	Listen string // host:port of its HTTP
}

// Transport is a connection to this cloud alone, under the name of all.
func (n *Node) Transport() *http.Transport {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, n.Listen)
	}
	return &http.Transport{DialContext: dial}
}

// BuildBroker builds the nats-server of the module the cloud links, into the
// folder bin.
func BuildBroker(bin string) error {
	module, err := Module()
	if err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", bin+"/", "github.com/nats-io/nats-server/v2")
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the broker: %w: %s", err, out)
	}
	return nil
}

// StartCluster sets up two clouds on a database, which is an address, and waits
// until both answer. The folder of the programs also has nats-server.
func StartCluster(ctx context.Context, c Config, database string) (*Cluster, error) {
	ports, err := FreePorts(5)
	if err != nil {
		return nil, err
	}
	local := func(i int) string { return net.JoinHostPort("127.0.0.1", ports[i]) }
	s := &Cluster{Stage: &Stage{Config: c, Listen: local(0), MQTT: local(1), AdminKey: "the key of this cluster"}}
	s.Host, s.URL = "127.0.0.1", "http://"+s.Listen
	s.web = &http.Client{Transport: s.Transport()}
	for i := range s.Nodes {
		s.Nodes[i] = &Node{Listen: local(2 + i)}
	}
	if s.cable, err = NewProxy("127.0.0.1:0", s.MQTT); err != nil {
		return nil, err
	}
	if s.front, err = newBalancer(s.Listen, s.Nodes[0].Listen, s.Nodes[1].Listen); err == nil {
		err = s.start(ctx, database, "nats://"+local(4))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Cluster) start(ctx context.Context, database, broker string) error {
	for i, n := range s.Nodes {
		err := s.configureCloud(s.path(i, "toml"), map[string]any{
			"Listen": n.Listen, "Data": s.path(i, "data"), "Database": database, "Broker": broker,
		})
		if err != nil {
			return err
		}
	}
	if err := s.startBroker(ctx, broker); err != nil {
		return err
	}
	// The clouds have one master key.
	key, err := os.ReadFile(filepath.Join(s.path(0, "data"), "master.key"))
	if err == nil {
		err = os.MkdirAll(s.path(1, "data"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.path(1, "data"), "master.key"), key, 0o600)
	}
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	for i := range s.Nodes {
		if err := s.StartNode(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (s *Cluster) path(node int, what string) string {
	return filepath.Join(s.Dir, fmt.Sprintf("cloud-%d.%s", node, what))
}

// StartNode starts a cloud on what is in its folder.
func (s *Cluster) StartNode(ctx context.Context, i int) (err error) {
	n := s.Nodes[i]
	n.Process, err = startProcess(filepath.Join(s.Bin, "cardea-cloud"), s.path(i, "log"), "-config", s.path(i, "toml"))
	if err != nil {
		return err
	}
	web := &http.Client{Transport: n.Transport()}
	defer web.CloseIdleConnections()
	return n.until(ctx, func() error { return answers(web, s.URL) })
}

// startBroker configures a nats-server as an operator does and starts it.
func (s *Cluster) startBroker(ctx context.Context, address string) error {
	text, err := exec.CommandContext(ctx, filepath.Join(s.Bin, "cardea-cloud"), "-config", s.path(0, "toml"), "broker", "config").Output()
	if err != nil {
		return fmt.Errorf("the broker's configuration: %w", err)
	}
	path, data := filepath.Join(s.Dir, "nats.conf"), filepath.Join(s.Dir, "nats")
	own := fmt.Sprintf("listen: %q\nserver_name: one\njetstream { store_dir: %q }\nmqtt { listen: %q }\n", address[len("nats://"):], data, s.MQTT)
	if err := os.WriteFile(path, append([]byte(own), text...), 0o600); err != nil {
		return err
	}
	if s.broker, err = startProcess(filepath.Join(s.Bin, "nats-server"), filepath.Join(s.Dir, "nats.log"), "-c", path); err != nil {
		return err
	}
	return s.broker.until(ctx, func() error {
		c, err := net.DialTimeout("tcp", s.MQTT, time.Second)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// Close stops everything that runs.
func (s *Cluster) Close() error {
	var errs []error
	s.Cloud = s.Nodes[0].Process // it may be a later one than at the start
	errs = append(errs, s.Stage.Close(), s.Nodes[1].Stop(), s.broker.Stop())
	if s.front != nil {
		s.front.Close()
	}
	return errors.Join(errs...)
}
