package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/admin"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Config says how the cloud runs. Zero values are the documented defaults.
type Config struct {
	// Issuer is the address under which devices and browsers reach the cloud,
	// such as "https://id.example.com". It stands in every token, so it can not
	// change later. Required.
	Issuer string `toml:"issuer"`

	// Listen is where HTTP is answered, as "host:port". Default: the host and
	// port of the issuer.
	Listen string `toml:"listen"`

	// TLSCert and TLSKey are PEM files: the certificate that HTTP and MQTT show,
	// those between it and its authority below it, and its key. It must be for the
	// hosts of the issuer and of MQTTURL. New files are noticed while the cloud
	// runs. Without them, and without ACME, the cloud answers only this machine,
	// or a proxy of yours that ends TLS.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`

	// ACME gets the certificate from an authority, in place of TLSCert.
	ACME *ACME `toml:"acme"`

	// RedirectListen is where browsers that come without TLS are sent to the
	// issuer, such as ":80". Nothing else is answered there, but what an ACME
	// authority asks. Default: nowhere.
	RedirectListen string `toml:"redirect_listen"`

	// BehindProxy says that proxies of yours end TLS before the cloud, so that
	// Listen and MQTTListen may be open to a network without it. Nobody but the
	// proxies may reach them. Default: false, and without TLS only this machine's
	// own addresses can be listened at.
	BehindProxy bool `toml:"behind_proxy"`

	// TrustedProxies are the addresses, or blocks such as "10.0.0.0/8", of the
	// proxies before the cloud: what they say of where a request comes from is
	// believed, and nobody else's word. Without them all who come through a proxy
	// share one limit on guesses, and every device seems to be on its owner's
	// network. Default: none.
	TrustedProxies []string `toml:"trusted_proxies"`

	// ForwardedHeader is where those proxies say it: "X-Forwarded-For", with
	// X-Forwarded-Proto beside it, or "Forwarded" (RFC 7239). Only one counts,
	// because a proxy that writes one lets the other pass as the client sent it.
	// Default "X-Forwarded-For".
	ForwardedHeader string `toml:"forwarded_header"`

	// OperateListen is where /metrics is answered, for Prometheus, and /healthz
	// and /readyz, which Listen answers too. Whoever reaches it can read how much
	// there is to do here, and nothing of anybody. Default: nowhere.
	OperateListen string `toml:"operate_listen"`

	// DrainWait is how long the cloud goes on when it is told to end, with /readyz
	// failing, so that a balancer has the time to look elsewhere: more than the
	// time between two of its looks. Default: 0.
	DrainWait time.Duration `toml:"drain_wait"`

	// MQTTListen is where devices connect by MQTT. Default "127.0.0.1:1883", and
	// with TLS port 8883 of every address.
	MQTTListen string `toml:"mqtt_listen"`

	// MQTTURL is the address devices are told for MQTT, such as
	// "tls://id.example.com:8883". Default: with TLS the issuer's host, and else
	// the address of MQTTListen, with the port of MQTTListen.
	MQTTURL string `toml:"mqtt_url"`

	// DataDir holds the database and the master key, and nothing else matters.
	// It is made, for this user alone, if it is not there. Required.
	DataDir string `toml:"data_dir"`

	// Database is the address of a database on a PostgreSQL server, such as
	// "postgres://cardea:password@db.example.com/cardea"; several clouds may have
	// the same, see docs/cluster.md. Default: a file of SQLite in DataDir, which
	// one cloud has for itself.
	Database string `toml:"database"`

	// Broker is the address of NATS servers of their own, such as
	// "nats://broker.example.com:4222", which clouds of one database share; see
	// docs/cluster.md. MQTTListen and its certificate are then theirs, and MQTTURL
	// is required. Default: a server inside, for this cloud alone.
	Broker string `toml:"broker"`

	// Catalogue is a YAML file with purposes and preferences, loaded at every
	// start unless the brand's API has loaded one since. Required at the first
	// start.
	Catalogue string `toml:"catalogue"`

	// Brand is the name the owner's pages speak under. Default "Cardea".
	Brand string `toml:"brand"`

	// BrandLogo is a picture in SVG, of at most 64 KB, that stands beside the name
	// and is the icon of the pages. A square is best. Default: a door's hinge.
	BrandLogo string `toml:"brand_logo"`

	// BrandColour is the colour of links and states on light pages, such as
	// "#146650", and BrandColourDark that on dark pages. One that can not be read
	// there is refused at start. Default: a dark green, and for dark pages the
	// same colour made light enough.
	BrandColour     string `toml:"brand_colour"`
	BrandColourDark string `toml:"brand_colour_dark"`

	// Controller is the company that answers for what is done with owners' data: it
	// stands in their receipts. Default: the brand's name, and "not stated".
	Controller Controller `toml:"controller"`

	// CodeLife is how long a pairing's code can be answered. A shorter one leaves
	// less time to who sends codes to others, and to those who type slowly.
	// Default "10m".
	CodeLife time.Duration `toml:"code_life"`

	// Clients are the programs that may start a pairing. Default: the agent of
	// this repository, "cardea-agent", bound to its device key.
	Clients []Client `toml:"clients"`

	// Anchors are PEM files with certificates of authorities that may vouch for
	// the issuer and the broker, beside those that devices know from elsewhere:
	// name the present one and the one to come. Devices learn of them with the
	// key list. Default: none.
	Anchors []string `toml:"anchors"`

	// Providers are where owners can sign in with an account they have.
	// Default: none.
	Providers []Provider `toml:"providers"`

	// Mail sends letters to owners: codes, and notices of what somebody else could
	// have done. Default: none is sent, and what needs it is not offered.
	Mail *Mail `toml:"mail"`

	// SignIn is what the cloud asks of who signs in, beyond what it asks anyway.
	SignIn SignIn `toml:"sign_in"`

	// Ingest is where what devices collect with consent is passed on to. Default:
	// nowhere; devices then keep it for a while, and delete it.
	Ingest *Ingest `toml:"ingest"`

	// AdminKeys open the brand's API. None: the API refuses everybody.
	AdminKeys []AdminKey `toml:"admin_keys"`

	// ResourceServers are the brand's APIs that may ask whether an access token
	// still counts (RFC 7662). None: nobody may.
	ResourceServers []ResourceServer `toml:"resource_servers"`
}

// A Client is a program that may start a pairing.
type Client struct {
	// ID is the OAuth client_id.
	ID string `toml:"id"`
	// Bearer lets the client use plain bearer tokens. Without it every request
	// must prove the device's key (RFC 9449).
	Bearer bool `toml:"bearer"`
	// Scopes are what the client may ask for. Default: profile.
	Scopes []string `toml:"scopes"`
}

// ACME says from which authority certificates come. They are for the hosts of the
// issuer and of MQTTURL, whose port 443, or port 80 at RedirectListen, must reach
// the cloud; with several clouds behind one name use files.
type ACME struct {
	// AcceptTerms says that you accept the authority's terms. Required.
	AcceptTerms bool `toml:"accept_terms"`
	// Email is told by the authority when something is wrong. Default: nobody.
	Email string `toml:"email"`
	// Directory is the authority's directory. Default: Let's Encrypt's.
	Directory string `toml:"directory"`
	// CAFile names the PEM certificates that vouch for the directory's server.
	// Default: those of the system.
	CAFile string `toml:"ca_file"`
}

// A Provider is an OpenID provider with which the brand has registered.
type Provider struct {
	// ID names it in addresses: lower-case letters, digits and dashes. It sends
	// owners back to {issuer}/signin/with/{id}/back, which it wants registered.
	ID string `toml:"id"`
	// Name is what owners know it by.
	Name string `toml:"name"`
	// Issuer is its issuer identifier, as its metadata has it.
	Issuer string `toml:"issuer"`
	// ClientID is what it gave the brand.
	ClientID string `toml:"client_id"`
	// ClientSecretFile has the secret it gave, alone in the file. Default: none,
	// for a public client.
	ClientSecretFile string `toml:"client_secret_file"`
}

// An AdminKey opens the brand's API to one of its systems.
type AdminKey struct {
	// Name is written to the audit.
	Name string `toml:"name"`
	// SHA256 is the key's digest, 64 hexadecimal digits: the key itself stands
	// nowhere. Make both with: openssl rand -hex 32 | tee key | tr -d '\n' | sha256sum
	SHA256 string `toml:"sha256"`
}

// A ResourceServer is one of the brand's APIs. Its key opens nothing else.
type ResourceServer struct {
	// Name is what it calls itself as Basic.
	Name string `toml:"name"`
	// SHA256 is the digest of its key, as of an AdminKey.
	SHA256 string `toml:"sha256"`
	// Scopes are the words it is told of; a token that has none of them is not
	// active for it. Default: profile.
	Scopes []string `toml:"scopes"`
}

// withDefaults fills in what was left out and refuses what can not work.
func (c Config) withDefaults() (Config, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https" {
		return c, fmt.Errorf("issuer: want an address without a path, such as \"https://id.example.com\", got %q", c.Issuer)
	}
	if err := cmp.Or(c.checkFields(), c.checkBroker(), c.Controller.check()); err != nil {
		return c, err
	}
	if c.Listen == "" {
		c.Listen = hostPort(u)
	}
	if c.MQTTListen == "" {
		c.MQTTListen = map[bool]string{false: "127.0.0.1:1883", true: ":8883"}[c.hasTLS()]
	}
	if c.ForwardedHeader == "" {
		c.ForwardedHeader = forwardedFor
	}
	if c.Brand == "" {
		c.Brand = "Cardea"
	}
	if _, err := brand.Load(c.brand()); err != nil {
		return c, err
	}
	if len(c.Clients) == 0 {
		c.Clients = []Client{{ID: "cardea-agent"}}
	}
	if c.Ingest != nil {
		i, err := c.Ingest.withDefaults()
		if err != nil {
			return c, fmt.Errorf("ingest: %w", err)
		}
		c.Ingest = &i
	}
	return c, c.checkTLS(u)
}

// checkFields refuses what can not be meant.
func (c Config) checkFields() error {
	switch {
	case c.CodeLife < 0:
		return fmt.Errorf("code_life: want a time such as \"10m\", got %s", c.CodeLife)
	case c.DataDir == "":
		return errors.New("data_dir: name the folder for the database")
	case c.Database != "" && !accountdb.OnServer(c.Database):
		return errors.New("database: want an address such as \"postgres://user@host/name\", or nothing for a file in data_dir")
	case c.DrainWait < 0:
		return errors.New("drain_wait: want a time such as \"10s\"")
	case slices.ContainsFunc(c.Clients, func(client Client) bool { return client.ID == "" }):
		return errors.New("clients: give each an id")
	}
	return nil
}

func (c Config) brand() brand.Config {
	return brand.Config{Name: c.Brand, Logo: c.BrandLogo, Colour: c.BrandColour, ColourDark: c.BrandColourDark}
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (c Config) clients() []issuer.Client {
	var out []issuer.Client
	for _, client := range c.Clients {
		if len(client.Scopes) == 0 {
			client.Scopes = []string{"profile"}
		}
		out = append(out, issuer.Client{ID: client.ID, RequireDPoP: !client.Bearer, Scopes: client.Scopes})
	}
	return out
}

func (c Config) resourceServers() ([]issuer.ResourceServer, error) {
	var out []issuer.ResourceServer
	for _, s := range c.ResourceServers {
		key, err := admin.ParseKey(s.Name, s.SHA256)
		if err != nil {
			return nil, fmt.Errorf("resource_servers: %w", err)
		}
		if slices.ContainsFunc(c.AdminKeys, func(k AdminKey) bool { return strings.EqualFold(k.SHA256, s.SHA256) }) {
			return nil, fmt.Errorf("resource_servers: %s: its key also opens the brand's API: give it one of its own", s.Name)
		}
		if len(s.Scopes) == 0 {
			s.Scopes = []string{"profile"}
		}
		out = append(out, issuer.ResourceServer{Name: key.Name, SHA256: key.SHA256, Scopes: s.Scopes})
	}
	return out, nil
}

func (c Config) adminKeys() ([]admin.Key, error) {
	var out []admin.Key
	for _, k := range c.AdminKeys {
		key, err := admin.ParseKey(k.Name, k.SHA256)
		if err != nil {
			return nil, fmt.Errorf("admin_keys: %w", err)
		}
		out = append(out, key)
	}
	return out, nil
}
