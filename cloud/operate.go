package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/cloud/health"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/metrics"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

const (
	pathLive    = "/healthz"
	pathReady   = "/readyz"
	pathMetrics = "/metrics"
)

// checks are the parts of the work. A wrong clock is no reason to restart: that
// would confirm it (see cloud/clock). Nor is a server elsewhere, to which the way
// is found again without.
func (c *cloud) checks() []health.Check {
	return []health.Check{
		{Name: "database", Restart: !c.config.onServer(), Try: c.db.Check},
		{Name: "stop journal", Restart: true, Try: c.db.CheckStops},
		{Name: "broker", Restart: c.config.Broker == "", Try: c.broker.Check},
		{Name: "clock", Try: func(context.Context) error { return c.inTime(time.Now()) }},
	}
}

// openOperate serves those who run the cloud, away from its owners and devices.
func (c *cloud) openOperate(ctx context.Context) (err error) {
	c.health = health.New(c.log, c.checks()...)
	c.metrics.Watch("cardea_devices_connected", "Connections of devices to the broker.", func() float64 { return float64(c.broker.Connections()) })
	if c.config.OperateListen == "" {
		return nil
	}
	if c.operate, err = listen(ctx, c.config.OperateListen); err != nil {
		return fmt.Errorf("operate_listen: %w: free the port or set another", err)
	}
	return nil
}

// serveOperate answers until the listener is closed, which is after everything
// else has ended.
func (c *cloud) serveOperate() {
	if c.operate == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+pathMetrics, c.metrics.Handler())
	mux.Handle("/", web.Handle(c.log, func(http.ResponseWriter, *http.Request) error {
		return web.Errorf(http.StatusNotFound, "not_found", "there is %s, %s and %s here", pathMetrics, pathLive, pathReady)
	}))
	c.handleHealth(mux)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug)}
	s.Serve(c.operate) // its end is the listener's
}

func (c *cloud) handleHealth(mux *http.ServeMux) {
	mux.Handle("GET "+pathLive, c.health.Live())
	mux.Handle("GET "+pathReady, c.health.Ready())
}

// handled counts a report.
func (c *cloud) handled(r hub.Result) {
	if r.Err != nil {
		c.metrics.Refused(reasonOf(r.Err))
		return
	}
	c.metrics.Answered(string(r.Answer))
	if r.Applied > 0 {
		c.metrics.Applied(r.Applied)
	}
	for _, reason := range r.Rejected {
		c.metrics.Rejected(reason)
	}
}

func reasonOf(err error) string {
	for reason, is := range map[string][]error{
		metrics.Unknown:   {hub.ErrUnknownLink},
		metrics.Clock:     {clock.ErrClock},
		metrics.Signature: {wire.ErrSignature},
		metrics.Malformed: {wire.ErrMalformed, wire.ErrTooBig, wire.ErrForeign, wire.ErrVersion},
	} {
		for _, one := range is {
			if errors.Is(err, one) {
				return reason
			}
		}
	}
	return metrics.Fault
}

func (c *cloud) swept(s hub.Sweep) { c.metrics.Swept(time.Now(), s.Behind, s.Lapsed) }

func (c *cloud) late(l hub.Lateness) {
	late := map[string]int{}
	for what, n := range l.Devices {
		late[string(what)] = n
	}
	c.metrics.Overdue(late, l.Erasures, l.Due)
}

func (c *cloud) decided(a cardea.Answer) { c.metrics.Decided(a) }

// paired counts what happened to a pairing.
func (c *cloud) paired(e issuer.Event) {
	switch e.Note {
	case issuer.NoteStarted:
		c.metrics.Grant(metrics.Started)
	case pairing.NoteApproved:
		c.metrics.Grant(metrics.Approved)
	case pairing.NoteDenied:
		c.metrics.Grant(metrics.Denied)
	case pairing.NoteRedeemed:
		c.metrics.Grant(metrics.Redeemed)
		c.metrics.Paired(time.Since(e.Requested.Time()))
	case pairing.NoteReused, pairing.NoteWrongKey, pairing.NoteRevoked:
		c.metrics.Grant(string(e.Note)[len("grant_"):])
	}
}
