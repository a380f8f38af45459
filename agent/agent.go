// Package agent assembles the agent of a device: its key and database, the
// session with the cloud, the exchange of reports and statements, the gate that
// answers "may I?", and the local API for the device's programs.
//
// [Run] needs no network to start: what is on the disk is enforced at once, and
// a cloud or a broker that is down is waited for. It returns when its context
// ends, with everything it started stopped, or at once with one line that says
// what keeps the agent from running and what to do about it. A firmware written
// in Go may call it.
package agent

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/checkup"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/events"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/localapi"
	"github.com/cardea-id/cardea/agent/notices"
	"github.com/cardea-id/cardea/agent/page"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/agent/tlsclock"
	"github.com/cardea-id/cardea/internal/mqttlink"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
)

// Run runs an agent until ctx ends. A nil logger is silence.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if !c.secure() && !c.local() {
		log.Warn("nothing is protected on the way to the cloud: use https, but for tests", "issuer", c.Issuer)
	}
	var door socket
	defer func() {
		if door.Listener != nil {
			door.Listener.Close()
		}
	}()
	for {
		// A device that was reset is another one, in the same process.
		if err := live(ctx, c, &door, log); !errors.Is(err, errReset) {
			return err
		}
	}
}

// live runs one agent of one device, until ctx ends or the device is reset.
func live(ctx context.Context, c Config, door *socket, log *slog.Logger) error {
	if err := finishReset(c.StateDir); err != nil {
		return err
	}
	st, err := openState(c, log)
	if err != nil {
		return err
	}
	defer st.close(c)
	a, err := assemble(c, st, log)
	if err != nil {
		return err
	}
	if door.Listener == nil {
		// The database is locked by now, so no other agent starts beside this one.
		if door.Listener, err = localapi.Listen(c.Socket, c.SocketGroup); err != nil {
			return err
		}
	}
	door.open()
	return a.run(ctx, *door)
}

// An agent is its parts, ready to run.
type agent struct {
	Config
	log     *slog.Logger
	label   crypto.Signer // nil: the device has a screen
	session *session.Session
	syncer  *syncer.Syncer
	api     *localapi.Server
	door    net.Listener // set before the api serves

	web  *http.Client
	gate *gate.Gate

	order func() ([]cardea.LinkID, error) // who is linked

	pages *page.Pages

	events *events.Collector

	trust    *tlsclock.Clock
	believed atomic.Value // cardea.LinkID whose time was believed last

	end context.CancelCauseFunc // of all parts

	resetting sync.Mutex
	gone      bool // this device is reset
}

func assemble(c Config, st state, log *slog.Logger) (*agent, error) {
	a := &agent{Config: c, log: log, order: st.db.Order}
	a.pages = page.NewPages()
	a.gate = gate.New(gate.Config{
		Path: filepath.Join(c.RunDir, clockFile), Resumes: gate.Resumes(), Changed: func() { a.pages.Publish(a.gate) }, Log: log,
	})
	var err error
	if a.trust, err = a.tlsClock(log); err != nil {
		return nil, err
	}
	a.web = c.httpClient(a.trust)
	broker := mqttlink.Config{
		Device: string(st.key.ID()), Subscribe: wire.DownTopic(st.key.ID()), Plain: !c.secure(), Log: log,
	}
	a.syncer, err = syncer.New(syncer.Config{
		DB: st.db, Gate: a.gate, Signer: st.key, HTTP: a.web, Log: log,
		Silence: c.PostAfter, MaxInterval: c.MaxInterval, Rest: c.rest(a.gate.Boot()), Believe: a.believe, RTC: gate.RTC(),
		Keys: c.anyServer(), RootPin: c.RootPin, Passed: a.trust.LastKnownGood,
		Reroled: func(l cardea.LinkID) { a.session.Forget(l) },
		Connect: func(url, issuer string, up func(), message func([]byte)) syncer.Pipe {
			return a.pipe(broker, url, issuer, up, message)
		},
	})
	if err != nil {
		return nil, err
	}
	a.events = events.New(events.Config{DB: st.db, Gate: a.gate, Device: st.key.ID(), Signer: st.key, HTTP: a.web, Log: log})
	if a.label, err = c.label(); err != nil {
		return nil, err
	}
	if a.session, err = session.New(a.sessionConfig(st)); err != nil {
		return nil, err
	}
	registry, err := programs.LoadRegistry(c.AppsDir)
	if err != nil {
		log.Error("some programs are not known and will be refused", "err", err)
	}
	a.api = localapi.New(localapi.Config{
		Registry: registry, DB: st.db, Device: st.key.ID(), Gate: a.gate, Pairer: a.session, Decider: a.syncer, Finder: a.syncer, Resetter: a, Machine: a, Pager: a, Collector: a.events, Noticer: notices.New(a.web), Log: log,
	})
	log.Info("agent", "device", st.key.ID(), "issuer", c.Issuer)
	return a, nil
}

// sessionConfig is a session of the device that a state is of.
func (a *agent) sessionConfig(st state) session.Config {
	c := a.Config
	return session.Config{
		DB:      st.db,
		Client:  &pairing.Client{Issuer: c.Issuer, ClientID: c.ClientID, Scope: c.Scope, HTTP: a.web, Signer: st.key, Label: a.label, Log: a.log},
		Device:  pairing.Device{Kind: c.DeviceKind, Model: c.DeviceModel, Serial: c.DeviceSerial},
		RootPin: c.RootPin, Boot: a.gate.Boot, BootID: a.gate.BootID(),
		Joined: a.joined, Revoked: a.syncer.Unlink, Log: a.log,
	}
}

// run runs the parts until ctx ends or one of them can not go on, which ends
// the others.
func (a *agent) run(ctx context.Context, l net.Listener) error {
	outer := ctx
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	a.door = l
	a.end = cancel
	var parts sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{
		"session":   a.session.Run,
		"sync":      a.syncer.Run,
		"events":    a.events.Run,
		"rest":      func(ctx context.Context) error { return rest(ctx, a.Rest, a.session, a.gate) },
		"pages":     func(ctx context.Context) error { return a.pages.Run(ctx, a.gate.Boot) },
		"rental":    a.rent,
		"local API": func(ctx context.Context) error { return a.api.Serve(ctx, l) },
	} {
		parts.Go(func() {
			if err := run(ctx); ctx.Err() == nil {
				cancel(fmt.Errorf("%s ended: %w", name, err))
			}
		})
	}
	a.log.Info("ready", "socket", l.Addr().String())
	parts.Wait()
	if outer.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// Check looks at the machine the agent runs on.
func (a *agent) Check(ctx context.Context) []client.Finding {
	return checkup.Machine{StateDir: a.StateDir, Socket: pathOf(a.door.Addr().String())}.Check(ctx)
}

// pipe connects to a link's broker with the device's own token, which only the
// configured issuer gives.
func (a *agent) pipe(c mqttlink.Config, url, issuer string, up func(), message func([]byte)) syncer.Pipe {
	c.URL, c.OnUp, c.OnMessage, c.TLS = url, up, message, a.trust.TLS(hostName(url))
	c.Password = func(ctx context.Context, fresh bool) (string, error) {
		if issuer != a.Issuer {
			return "", session.ErrIssuer
		}
		token, err := a.session.DeviceToken(ctx, fresh)
		return token.Reveal(), err
	}
	return mqttlink.New(c)
}

// now is the time that certificates are judged at: that of the link whose time
// was last believed. An agent that was restarted waits for an answer.
func (a *agent) now() cardea.Now {
	link, _ := a.believed.Load().(cardea.LinkID)
	return a.gate.KnownOf(link)
}

// anchors vouch for the issuer and the broker beside the authorities of the
// configuration: they came with the key lists of the issuer's links.
func (a *agent) anchors() []*x509.Certificate {
	if a.syncer == nil {
		return nil
	}
	return a.syncer.Anchors(a.Issuer)
}

// unvouched has the anchors looked for that a server which nobody vouches for may
// need.
func (a *agent) unvouched() {
	if a.syncer != nil {
		a.syncer.Unvouched(a.Issuer)
	}
}

// believe says whether the time of a cloud's answer may be used. Only the
// configured issuer's decides which certificates count.
func (a *agent) believe(answer syncer.Answer) error {
	own := answer.Issuer == a.Issuer
	err := a.trust.Believe(tlsclock.Answer{
		Time: answer.Time, Sent: answer.Sent, Known: a.gate.KnownOf(answer.Link), TLS: answer.TLS, Other: !own,
	})
	if err == nil && own {
		a.believed.Store(answer.Link)
	}
	return err
}

// Page is the page of a program.
func (a *agent) Page(program string, mine func(cardea.PurposeID) bool) (file *os.File, err error) {
	a.gate.Still(func() { file, err = a.pages.Of(program, mine, a.gate) })
	return file, err
}

// joined puts a new link in force.
func (a *agent) joined(link cardea.LinkID, down []byte) {
	if err := a.syncer.Join(link, down); err != nil {
		a.log.Error("the new link can not be put in force", "link", link, "err", err)
	}
}
