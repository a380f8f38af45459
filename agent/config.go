package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// Config says how an agent runs. Only Issuer must be set; the zero value of
// every other field is its documented default. In a file each field has the
// name in its tag, and a name nobody knows is refused.
type Config struct {
	// Issuer is the base URL of the cloud, exactly as its metadata writes it.
	// A link made at another issuer is kept and denies once its yes is stale.
	// With http:// nothing is protected on the way, the broker included: for
	// tests on one machine or network.
	Issuer string `toml:"issuer"`

	// ConnectTo is a host and port that is connected to in place of the
	// issuer's, for a device behind a tunnel. What the other end must prove to
	// be stays the issuer. Empty connects to the issuer.
	ConnectTo string `toml:"connect_to"`

	// ClientID is this kind of agent's name at the issuer. Default
	// "cardea-agent".
	ClientID string `toml:"client_id"`

	// Scope is what a pairing asks for, words separated by spaces. Empty leaves
	// it to the issuer.
	Scope string `toml:"scope"`

	// CAFile names a PEM file with the authorities that may vouch for the
	// issuer and the broker; those of the system count for nothing then, those
	// of a link's key list still do. Empty takes the system's, which costs some
	// 3 MB of memory.
	CAFile string `toml:"ca_file"`

	// RootPin is the thumbprint (RFC 7638) of the issuer's root key, which signs
	// the lists of all its other keys. A link that comes with another root is
	// refused, and one that was made with another denies. Empty takes the root
	// that comes with the first link on trust. The cloud logs it at its start.
	RootPin string `toml:"root_pin"`

	// StateDir holds the device key and the database, and must outlive a power
	// cut. It is made if it is not there, for the agent's user only. Default
	// "/var/lib/cardea".
	StateDir string `toml:"state_dir"`

	// RunDir holds what must not outlive the boot: what is known of the time.
	// Default "/run/cardea".
	RunDir string `toml:"run_dir"`

	// Socket is where programs reach the agent, unless systemd hands a socket
	// over. Default "agent.sock" in RunDir.
	Socket string `toml:"socket"`

	// SocketGroup is the group, a name or a number, whose programs may connect;
	// what each may ask for stands in AppsDir. Empty leaves the process's
	// group.
	SocketGroup string `toml:"socket_group"`

	// AppsDir is the folder with one file for each program. A program without
	// one is refused. Default "/etc/cardea/apps.d".
	AppsDir string `toml:"apps_dir"`

	// DeviceKind ("speaker", "car"), DeviceModel and DeviceSerial, of which at
	// most the last 8 characters leave the device, tell the owner which device
	// asks. Empty parts are not said. What is asked goes by the kind: for one that
	// the brand's catalogue does not name, nothing is, and nothing may be done.
	DeviceKind   string `toml:"device_kind"`
	DeviceModel  string `toml:"device_model"`
	DeviceSerial string `toml:"device_serial"`

	// LabelKey is the key file of the label that is printed on a device without a
	// screen: cardea label makes both. Put it where a factory reset leaves it.
	// Empty: the device has no label, and shows or says its codes.
	LabelKey string `toml:"label_key"`

	// RentFor is for a device that is lent or rented: after so long all links end by
	// themselves, as with POST /v1/reset, and nothing of who used it is left. It is
	// counted from the first link on, by the time the device was on and, where the
	// time is known, by the time that passed. 0: the device is its owner's.
	RentFor time.Duration `toml:"rent_for"`

	// PostAfter is how long the broker may give no answer before reports go
	// over HTTPS. Default 60 s.
	PostAfter time.Duration `toml:"post_after"`

	// MaxInterval is how long the cloud is not asked at most while nothing
	// happens. Default 6 h.
	MaxInterval time.Duration `toml:"max_interval"`

	// PowerUpRest is how long the cloud is left alone at most after the machine was
	// powered up, unless somebody does something with the device: a random time, so
	// that a street that has its power back does not connect in one second. Default
	// 60 s.
	PowerUpRest time.Duration `toml:"power_up_rest"`

	// Prober is a program that calls Probed first of all, such as the agent's
	// own: a database that may be damaged is read in it before this process
	// touches it. Empty reads it here; most damage is survived, not all.
	Prober string `toml:"-"`

	// Rest is called a minute after the start, after each pairing and after each
	// change of what is allowed: the agent has then used what it needs no more, and
	// whoever owns the process may give memory back. It runs beside everything
	// else. Nil: nothing is called.
	Rest func() `toml:"-"`

	// LogLevel is "debug", "info", "warn" or "error". Default "info". Whoever
	// makes the logger given to Run obeys it.
	LogLevel slog.Level `toml:"log_level"`
}

// ErrConfig is returned for a configuration that can not be used.
var ErrConfig = errors.New("invalid configuration")

// Check says what is wrong with the configuration itself, without touching
// anything.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults fills in what is not set and refuses what can not work.
func (c Config) withDefaults() (Config, error) {
	for field, value := range map[*string]string{
		&c.ClientID: "cardea-agent",
		&c.StateDir: "/var/lib/cardea",
		&c.RunDir:   filepath.Dir(client.DefaultSocket),
		&c.AppsDir:  "/etc/cardea/apps.d",
	} {
		if *field == "" {
			*field = value
		}
	}
	if c.Rest == nil {
		c.Rest = func() {}
	}
	if c.Socket == "" {
		c.Socket = filepath.Join(c.RunDir, filepath.Base(client.DefaultSocket))
	}
	if c.PowerUpRest == 0 {
		c.PowerUpRest = time.Minute
	}
	if n := len(c.DeviceSerial); n > maxSerial {
		c.DeviceSerial = c.DeviceSerial[n-maxSerial:]
	}
	return c, c.validate()
}

// maxSerial is how much of a serial number is told, in characters.
const maxSerial = 8

func (c Config) validate() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%w: issuer: set the cloud's URL, such as \"https://id.example.com\"", ErrConfig)
	}
	if c.ConnectTo != "" {
		if host, port, err := net.SplitHostPort(c.ConnectTo); err != nil || host == "" || port == "" {
			return fmt.Errorf("%w: connect_to: want host:port", ErrConfig)
		}
	}
	if c.RootPin != "" {
		if _, err := cardea.ParseDeviceID(c.RootPin); err != nil { // a thumbprint too
			return fmt.Errorf("%w: root_pin: want a thumbprint, 43 characters of base64url", ErrConfig)
		}
	}
	if c.RentFor < 0 || c.RentFor > 0 && c.RentFor < time.Second {
		return fmt.Errorf("%w: rent_for: a time such as \"72h\", at least a second", ErrConfig)
	}
	if c.PostAfter < 0 || c.MaxInterval < 0 || c.PowerUpRest < 0 {
		return fmt.Errorf("%w: post_after, max_interval and power_up_rest: a time such as \"60s\"", ErrConfig)
	}
	return nil
}

// poweredUp is how long after its boot a machine that starts the agent has just
// been powered up.
const poweredUp = 3 * time.Minute

// rest is how long the cloud is left alone by an agent that starts now.
func (c Config) rest(boot time.Duration) time.Duration {
	if boot > poweredUp {
		return 0 // only the agent starts anew
	}
	return c.PowerUpRest
}

// local reports whether the cloud is on this machine, as in a walk-through.
func (c Config) local() bool {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// secure reports whether the way to the issuer is protected.
func (c Config) secure() bool {
	u, err := url.Parse(c.Issuer)
	return err == nil && u.Scheme == "https"
}
