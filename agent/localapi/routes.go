package localapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A route is one call of the API. A scoped one is about something the program's
// file lists: its handler asks permit again when it knows what.
type route struct {
	method, path string
	need         programs.Entitlement
	scoped       bool
	handle       func(*call) error
}

func (s *Server) table() []route {
	return []route{
		{"GET", whoamiPath, programs.Anybody, false, s.whoami},
		{"GET", "/v1/status", "", false, s.status},
		{"GET", "/v1/check", "", false, s.check},
		{"POST", "/v1/pair", programs.MayPair, false, s.startPair},
		{"GET", "/v1/pair", programs.MayPair, false, s.showPair},
		{"DELETE", "/v1/pair", programs.MayPair, false, s.cancelPair},
		{"POST", "/v1/pair/confirm", programs.MayPair, false, s.confirmPair},
		{"GET", "/v1/pair/qr.png", programs.MayPair, false, s.qrPNG},
		{"GET", "/v1/pair/qr.svg", programs.MayPair, false, s.qrSVG},
		{"GET", "/v1/pair/qr.txt", programs.MayPair, false, s.qrText},
		{"GET", "/v1/pair/spoken", programs.MayPair, false, s.spoken},
		{"GET", "/v1/identity", programs.MayPrefs, false, s.identity},
		{"POST", "/v1/token", programs.MayToken, true, s.token},
		{"POST", "/v1/decide", programs.MayDecide, true, s.decide},
		{"GET", "/v1/page", programs.MayDecide, false, s.page},
		{"GET", "/v1/consents", programs.MayReadConsent, false, s.consents},
		{"POST", "/v1/consents/withdraw", programs.MayWriteConsent, true, s.withdraw},
		{"POST", "/v1/consents/allow", programs.MayWriteConsent, true, s.allow},
		{"POST", "/v1/prompt", programs.MayWriteConsent, true, s.prompt},
		{"GET", "/v1/prompt/qr.png", programs.MayWriteConsent, true, s.promptQR},
		{"GET", "/v1/notice", programs.MayReadConsent, true, s.notice},
		{"GET", "/v1/preferences", programs.MayPrefs, false, s.preferences},
		{"PUT", "/v1/preferences", programs.MayPrefs, true, s.prefer},
		{"POST", "/v1/events", programs.MayEvents, true, s.collect},
		{"GET", "/v1/watch", programs.MayEvents, false, s.watch},
		{"GET", "/v1/links", "", false, s.links},
		{"POST", "/v1/links/{id}/activate", programs.MayPeople, false, s.activate},
		{"POST", "/v1/guest", programs.MayPeople, false, s.guest},
		{"DELETE", "/v1/links/{id}", programs.MayAdmin, false, s.unlink},
		{"POST", "/v1/reset", programs.MayAdmin, false, s.reset},
	}
}

// A call is one request of one caller to one route.
type call struct {
	s      *Server
	route  route
	caller caller
	w      http.ResponseWriter
	r      *http.Request
}

// routes answers unknown paths and methods in JSON too, but only to registered
// programs: nobody else learns anything.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]route{}
	for _, rt := range s.table() {
		methods[rt.path] = append(methods[rt.path], rt)
	}
	for path, routes := range methods {
		mux.Handle(path, s.serve(func(c *call) error { return c.dispatch(routes) }))
	}
	mux.Handle("/", s.serve(func(c *call) error {
		return web.Errorf(http.StatusNotFound, "not_found", "there is no such call, see docs/integrate.md")
	}))
	return guard(mux)
}

// serve takes the caller out of the connection's context, once.
func (s *Server) serve(f func(*call) error) http.Handler {
	return web.Handle(s.log, func(w http.ResponseWriter, r *http.Request) error {
		who, _ := r.Context().Value(callerKey{}).(caller)
		c := &call{s: s, caller: who, w: w, r: r, route: route{method: r.Method, path: r.Pattern}}
		if who.program == nil && r.Pattern != whoamiPath {
			return c.permit()
		}
		return shown(f(c))
	})
}

func (c *call) dispatch(routes []route) error {
	i := slices.IndexFunc(routes, func(rt route) bool { return rt.method == c.r.Method })
	if i < 0 {
		var allow []string
		for _, rt := range routes {
			allow = append(allow, rt.method)
		}
		c.w.Header().Set("Allow", strings.Join(allow, ", "))
		return web.Errorf(http.StatusMethodNotAllowed, "method_not_allowed", "this call takes %s", strings.Join(allow, ", "))
	}
	c.route = routes[i]
	if err := c.permit(); err != nil {
		return err
	}
	if c.r.ContentLength != 0 && (c.route.method == "GET" || c.route.method == "DELETE") {
		return web.Errorf(http.StatusBadRequest, "invalid_request", "this call has no body")
	}
	return c.route.handle(c)
}

// permit asks the server's one gate.
func (c *call) permit(on ...object) error {
	return c.s.permit(c.r.Context(), c.caller, c.route, on...)
}

// read decodes the body, in readTimeout at most. The deadline stays where that
// fails: the server reads what is left of the body before it answers.
func (c *call) read(v any) error {
	rc := http.NewResponseController(c.w)
	rc.SetReadDeadline(time.Now().Add(readTimeout))
	if err := web.ReadJSON(c.w, c.r, v); err != nil {
		return err
	}
	rc.SetReadDeadline(time.Time{})
	return nil
}

// query reads the query, in which only the named parameters may stand, each
// once.
func (c *call) query(names ...string) (url.Values, error) {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query can not be read")
	}
	for name, values := range q {
		if !slices.Contains(names, name) || len(values) != 1 {
			return nil, invalid("parameter %.40q: only %q, each once", name, names)
		}
	}
	return q, nil
}

func (c *call) answer(v any) error {
	web.JSON(c.w, http.StatusOK, v)
	return nil
}

// held is the link of who uses the device now.
func (s *Server) held() (devicedb.Link, error) {
	id, _, ok := s.Gate.Active()
	if !ok {
		return devicedb.Link{}, ErrGuest
	}
	return s.DB.Link(id)
}

func invalid(format string, args ...any) error {
	return web.Errorf(http.StatusBadRequest, "invalid_request", format, args...)
}

// shown turns the expected outcomes of the packages below into what a program
// is told. Everything else stays hidden.
func shown(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrGuest):
		return web.Errorf(http.StatusConflict, "guest", "nobody is linked, or nobody is active: pair the device with POST /v1/pair, or say who uses it with POST /v1/links/{id}/activate")
	case errors.Is(err, devicedb.ErrNotFound):
		return web.Errorf(http.StatusNotFound, "unknown_link", "this device holds no such link: GET /v1/status lists them")
	case errors.Is(err, devicedb.ErrDamaged):
		return web.Errorf(http.StatusServiceUnavailable, "store", "the device's state can not be read: pair the device again")
	case errors.Is(err, syncer.ErrNotOwner):
		return web.Errorf(http.StatusForbidden, "not_owner", "%v", syncer.ErrNotOwner)
	case errors.Is(err, syncer.ErrNotAuthor):
		return web.Errorf(http.StatusForbidden, "not_author", "%v", syncer.ErrNotAuthor)
	case errors.Is(err, syncer.ErrInvalid):
		return invalid("%v", err)
	case errors.Is(err, syncer.ErrFull):
		return web.Errorf(http.StatusServiceUnavailable, "full", "%v", syncer.ErrFull)
	case errors.Is(err, cardea.ErrInvalidKey), errors.Is(err, cardea.ErrInvalidID):
		return invalid("%v", err)
	}
	return err
}
