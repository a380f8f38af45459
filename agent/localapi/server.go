package localapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/devicedb"
)

// Times of the server.
const (
	readTimeout  = 5 * time.Second  // for a request, and again for a body that is read
	writeTimeout = 30 * time.Second // for an answer; a watch has its own
	idleTimeout  = 2 * time.Minute
	closeTimeout = 2 * time.Second // for answers under way when the agent stops
)

// A Config says what a Server speaks for.
type Config struct {
	// Registry knows the programs. Nil knows none, and everybody is refused.
	Registry *programs.Registry
	// DB is what the device holds. It is only read.
	DB *devicedb.DB
	// Device is the device's id.
	Device cardea.DeviceID
	// Gate, Pairer and Decider do the work of every day.
	Gate    Gate
	Pairer  Pairer
	Decider Decider
	// Collector takes what programs collect. Nil: nothing can be handed in.
	Collector Collector
	// Pager has pages of memory from which programs read answers. Nil: there
	// are none, and programs ask here.
	Pager Pager
	// Finder says when the device is to show itself. Nil: never.
	Finder Finder
	// Noticer has the texts of purposes. Nil: there are none.
	Noticer Noticer
	// Resetter empties the device. Nil: it can not be reset from here.
	Resetter Resetter
	// Machine is looked at when somebody asks how the agent is. Nil: it is not.
	Machine Machine
	// Log gets the audit: who called what, and whether it was allowed. Nil is
	// silence.
	Log *slog.Logger
}

// A Server answers the device's programs.
type Server struct {
	Config
	log     *slog.Logger
	crowd   *crowd
	prompts *prompts
	handler http.Handler
}

// New makes a server.
func New(c Config) *Server {
	s := &Server{Config: c, log: c.Log, crowd: newCrowd(), prompts: newPrompts()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.Registry == nil {
		s.Registry = new(programs.Registry)
	}
	s.handler = s.routes()
	return s
}

// Serve answers on l until ctx ends, then lets answers under way finish and
// closes l. It returns nil after ctx ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:        s.handler,
		ReadTimeout:    readTimeout, // also of a body nobody reads
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: 8 << 10,

		DisableGeneralOptionsHandler: true,                                              // which would answer strangers
		BaseContext:                  func(net.Listener) context.Context { return ctx }, // ends watches
		ConnContext:                  withCaller,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() {
		done <- srv.Serve(&door{Listener: l, registry: s.Registry, log: s.log, crowd: s.crowd})
	}()
	select {
	case err := <-done:
		return fmt.Errorf("local API: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("local API: %w", err)
	}
	return nil
}

// Values of headers are shared by all answers, and never changed.
var (
	nothingLoaded = []string{"default-src 'none'; frame-ancestors 'none'"}
	asTyped       = []string{"nosniff"}
	noStore       = []string{"no-store"}
)

// guard refuses what no program of the device sends: a browser tells where it
// comes from, and a name that was rebound to this socket tells another host.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Security-Policy"], h["X-Content-Type-Options"], h["Cache-Control"] = nothingLoaded, asTyped, noStore
		if err := foreign(r); err != nil {
			h.Set("Connection", "close")
			web.JSON(w, err.Status, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
		next.ServeHTTP(w, r)
	})
}

func foreign(r *http.Request) *web.Error {
	switch {
	case len(r.Header.Values("Origin")) > 0 || len(r.Header.Values("Referer")) > 0:
		return web.Errorf(http.StatusForbidden, "browser", "web pages may not speak to the agent: send neither Origin nor Referer")
	case r.Host != "" && r.Host != "localhost" && r.Host != "cardea":
		return web.Errorf(http.StatusMisdirectedRequest, "foreign_host", "this is the agent's socket: send the host \"localhost\" or \"cardea\"")
	}
	return nil
}
