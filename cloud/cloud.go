// Package cloud assembles the cloud: the owner's pages, the issuer of tokens,
// the ledger, the hub that keeps devices in step, the broker they connect to,
// and the brand's API, over one database.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/admin"
	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/broker"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/cloud/health"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ingest"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/mail"
	"github.com/cardea-id/cardea/cloud/metrics"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A cloud is everything that runs.
type cloud struct {
	config Config
	log    *slog.Logger

	db     *accountdb.DB
	clock  *clock.Guard
	keys   *token.Keys
	ledger *ledger.Ledger
	broker *broker.Broker
	hub    *hub.Hub
	ingest *ingest.Ingest // nil: nothing is passed on
	issuer *issuer.Issuer
	mailer *mail.Mailer // nil: no mail is sent
	http   *http.Server
	door   *listener    // of HTTP
	listen net.Listener // the door, behind TLS if there is a certificate

	live *desk.Live // the pages that are looked at

	health  *health.Health
	metrics *metrics.Metrics
	operate *listener     // nil: nobody asks
	ending  chan struct{} // closed when the cloud is about to end

	address func(*http.Request) netip.Addr // where a request comes from
	proxies forwarding

	certificates certificates // nil without TLS
	plain        *listener    // of those who are sent to TLS; nil if nobody is
}

// Run runs the cloud until ctx ends, and then lets requests under way finish.
// What can not work is told at once.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	c, err := c.checked()
	if err != nil {
		return err
	}
	cloud := &cloud{config: c, log: log, metrics: metrics.New(), live: new(desk.Live), ending: make(chan struct{})}
	defer cloud.close()
	if err := cloud.open(ctx); err != nil {
		return err
	}
	return cloud.run(ctx)
}

func (c *cloud) open(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.openCertificates, c.openDatabase, c.openLedger, c.openBroker, c.openHub, c.openIngest, c.openIssuer, c.listenToOthers, c.openOperate, c.openHTTP,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cloud) openDatabase(ctx context.Context) error {
	var err error
	if c.db, err = c.config.openDatabase(ctx); err != nil {
		return err
	}
	name, err := c.config.clockName()
	if err != nil {
		return err
	}
	if c.clock, err = clock.New(ctx, clock.Config{DB: c.db, Name: name, Log: c.log}); err != nil {
		return err
	}
	tellReplay(ctx, c.log, c.db.Replayed())
	if c.keys, err = token.Open(ctx, c.config.Issuer, c.db.Secrets()); err != nil {
		return err
	}
	c.keys.RememberIn(c.db.Grants())
	if c.db.Replayed().Missing { // with it went the lists that the database may have forgotten
		if err := rotate(ctx, c.db, c.keys, "statement", c.log); err != nil {
			return err
		}
	}
	return c.publishKeys(ctx)
}

func (c *cloud) openLedger(ctx context.Context) error {
	var first []byte
	if c.config.Catalogue != "" {
		var err error
		if first, err = os.ReadFile(c.config.Catalogue); err != nil {
			return fmt.Errorf("catalogue: %w", err)
		}
	}
	held, err := catalogue.Open(ctx, c.db, first)
	if err != nil && c.config.Catalogue == "" {
		return fmt.Errorf("catalogue: name the YAML file with what owners are asked: %w", err)
	}
	if err != nil {
		return fmt.Errorf("catalogue: %s: %w", c.config.Catalogue, err)
	}
	c.ledger = &ledger.Ledger{DB: c.db, Catalogue: held}
	return nil
}

func (c *cloud) openBroker(context.Context) (err error) {
	config, err := c.brokerConfig()
	if err != nil {
		return err
	}
	if c.broker, err = broker.New(config); err != nil && config.URL == "" {
		err = fmt.Errorf("mqtt_listen: %w: free the port or set another", err)
	}
	if err != nil {
		return err
	}
	if c.config.MQTTURL == "" {
		c.config.MQTTURL = c.config.mqttURL(c.broker.Addr())
	}
	return nil
}

// mayConnect verifies a device's token, and that the device still has a link.
func (c *cloud) mayConnect(text string) (cardea.DeviceID, time.Time, error) {
	device, until, err := c.keys.VerifyDevice(text)
	if err != nil {
		return "", until, err
	}
	err = c.db.View(context.Background(), func(tx *accountdb.Tx) error {
		links, err := tx.LinksOfDevice(device)
		if err == nil && !slices.ContainsFunc(links, func(l accountdb.Link) bool { return l.State != accountdb.LinkClosed }) {
			err = accountdb.ErrNotFound
		}
		return err
	})
	if err != nil {
		return "", until, fmt.Errorf("device has no link: %w", err)
	}
	return device, until, nil
}

func (c *cloud) openHub(ctx context.Context) error {
	c.hub = hub.New(hub.Config{
		DB: c.db, Ledger: c.ledger, Pipe: c.broker, Signer: c.keys.Statement, KeyList: c.keys.KeyList, Root: c.keys.RootPublic(), Stated: c.keys.Stated,
		UpURL: c.config.Issuer + pathUp, BrokerURL: c.config.MQTTURL, Clock: c.inTime, Log: c.log,
		Handled: c.handled, Swept: c.swept, Changed: c.changed, Erased: c.erased,
	})
	ctx = context.WithoutCancel(ctx) // until the broker is closed
	return c.broker.OnUp(func(device cardea.DeviceID, sealed []byte) { c.up(ctx, device, sealed) })
}

// up answers a report that came over the broker.
func (c *cloud) up(ctx context.Context, device cardea.DeviceID, sealed []byte) {
	answer, err := c.hub.Handle(ctx, sealed)
	if err != nil && !errors.Is(err, hub.ErrUnknownLink) {
		c.log.WarnContext(ctx, "report refused", "device", device, "err", err)
		return
	}
	if err := c.broker.Publish(device, answer); err != nil {
		c.log.WarnContext(ctx, "not answered", "device", device, "err", err)
	}
}

func (c *cloud) openIssuer(context.Context) error {
	var err error
	if c.proxies, err = c.config.forwarding(); err != nil {
		return err
	}
	c.address = c.proxies.address
	servers, err := c.config.resourceServers()
	if err != nil {
		return err
	}
	config := issuer.Config{
		Issuer: c.config.Issuer, Clients: c.config.clients(), Storage: c.db.Grants(), Tokens: c.keys,
		Secret: c.keys.Derive("codes"), CodeLife: c.config.CodeLife, Address: c.address, Events: c.paired, Log: c.log,
		ResourceServers: servers, Leave: c.hub.Leave,
	}
	if c.config.onServer() {
		config.Decided, config.Look = c.tellDecided, lookEvery
	}
	c.issuer, err = issuer.New(config)
	return err
}

func (c *cloud) openHTTP(ctx context.Context) error {
	providers, err := c.config.providers(secretFile)
	if err != nil {
		return err
	}
	policy, err := c.config.policy()
	if err != nil {
		return err
	}
	if err := c.openMail(); err != nil {
		return err
	}
	pages, err := portal.New(portal.Config{
		Secret: c.keys.Derive("passkeys"), Mail: c.sendMail(), Terms: c.config.SignIn.Terms, Policy: policy, Renamed: c.hub.Wake,
		Issuer: c.config.Issuer, Brand: c.config.brand(), Accounts: c.db, Ledger: c.ledger, Devices: c.hub, Archive: c.archive(),
		Pairings: c.issuer, Labels: c.issuer, Providers: providers, Address: c.address, Log: c.log,
		Receipts: c.receipts(), Live: c.live, Clock: c.inTime,
	})
	if err != nil {
		return err
	}
	keys, err := c.config.adminKeys()
	if err != nil {
		return err
	}
	brand := admin.Handler(admin.Config{Ledger: c.ledger, Devices: c.hub, Receipts: c.receipts(), Eraser: c.hub, Archive: c.archive(), Issuer: c.config.Issuer, Keys: keys, Decided: c.decided, Ending: c.ending, Log: c.log})
	if c.door, err = listen(ctx, c.config.Listen); err != nil {
		return fmt.Errorf("listen: %w: free the port or set another listen address", err)
	}
	c.listen = c.door
	c.http = c.server(c.routes(pages, brand))
	return c.protectHTTP(ctx)
}

// archive writes copies for owners.
func (c *cloud) archive() *archive.Writer {
	return &archive.Writer{DB: c.db, Ledger: c.ledger, Brand: c.config.Brand, Receipts: c.receipts(), Devices: c.hub}
}

// server answers with a handler, and waits for nobody for long.
func (c *cloud) server(answer http.Handler) *http.Server {
	return &http.Server{
		Handler:           answer,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
}

// run serves until ctx ends or a part fails. The parts work until the last
// request has its answer.
func (c *cloud) run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	c.log.InfoContext(ctx, "cloud runs", "issuer", c.config.Issuer, "listen", c.listen.Addr().String(), "mqtt", c.mqttAddr())
	failed, served := make(chan error, 1), make(chan struct{})
	var parts sync.WaitGroup
	parts.Go(func() { c.hub.Run(work) })
	if c.ingest != nil {
		parts.Go(func() { c.ingest.Run(work) })
	}
	parts.Go(func() { c.hub.WatchOverdue(work, c.late) })
	parts.Go(func() { c.hub.ClearUnconfirmed(work) })
	parts.Go(func() { c.clock.Run(work) })
	parts.Go(func() { c.watchKeys(work) })
	if c.mailer != nil {
		parts.Go(func() { c.mailer.Run(work) })
	}
	parts.Go(func() { c.follow(work) })
	parts.Go(c.serveOperate)
	parts.Go(func() { c.runTLS(work) })
	parts.Go(func() {
		defer close(served)
		if err := c.http.Serve(c.listen); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			failed <- err
		}
	})
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, c.drain(served))
	stop()
	c.broker.Close() // when the reports it has taken are answered
	if c.operate != nil {
		c.operate.Close()
	}
	parts.Wait()
	return err
}

func (c *cloud) close() {
	if c.broker != nil {
		c.broker.Close()
	}
	for _, l := range []*listener{c.door, c.plain, c.operate} {
		if l != nil {
			l.Close()
		}
	}
	if c.db == nil {
		return
	}
	if err := c.db.Close(); err != nil {
		c.log.Error("database not closed", "err", err)
	}
}
