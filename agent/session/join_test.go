package session_test

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
)

// approve pairs up to the join.
func (h *house) approve() {
	h.Helper()
	p := h.start()
	h.sleep(time.Second)
	h.server.Decide(p.UserCode, true)
	synctest.Wait()
}

func TestTheJoinOutlivesTrouble(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"503": status(503), "429": status(429), "a redirect": status(302), "a page": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Write([]byte("<html>"))
			return true
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				in(t, holding(), func(h *house) {
					h.cloud.failing(fail)
					h.approve()
					h.sleep(time.Hour) // the access token is long dead
					if got := h.session.Show(); got.State != client.PairApproved || got.Problem == "" {
						h.Fatalf("shows %+v", got)
					}
					if restart {
						h.restart()
						h.expect(client.PairApproved)
					}
					h.cloud.failing(expired(h))
					h.sleep(2 * time.Minute)
					h.linked()
				})
			})
		}
	}
}

// expired takes an access token only after the next refresh.
func expired(h *house) func(http.ResponseWriter, *http.Request) bool {
	asked := len(h.server.Requests("/token"))
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if len(h.server.Requests("/token")) > asked {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func TestALostJoinAnswerGivesTheSameLink(t *testing.T) {
	in(t, holding(), func(h *house) {
		var lost atomic.Int32
		h.server.Break(func(r *http.Request) pairingtest.Fault {
			if r.URL.Path == "/v1/links" && lost.Load() < 2 {
				lost.Add(1)
				return pairingtest.AnswerLost
			}
			return pairingtest.None
		})
		h.approve()
		h.sleep(time.Minute)
		h.linked()
		links, err := h.db.Links()
		if len(links) != 1 || err != nil || len(h.server.Requests("/v1/links")) != 3 {
			h.Errorf("%d links after %d requests, %v", len(links), len(h.server.Requests("/v1/links")), err)
		}
	})
}

func TestAMalformedLinkIsNotTaken(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"no link":            func(a map[string]any) { delete(a, "link") },
		"no key":             func(a map[string]any) { delete(a, "link_key") },
		"a short key":        func(a map[string]any) { a["link_key"] = "AAAA" },
		"no root":            func(a map[string]any) { delete(a, "root") },
		"another root":       func(a map[string]any) { a["root"] = jose.JWK(jose.GenerateKey().Public()) },
		"no keys":            func(a map[string]any) { delete(a, "keys") },
		"keys in nonsense":   func(a map[string]any) { a["keys"] = "!" },
		"no broker":          func(a map[string]any) { delete(a, "mqtt") },
		"a strange broker":   func(a map[string]any) { a["mqtt"] = map[string]string{"url": "http://mqtt.example"} },
		"no up":              func(a map[string]any) { a["up"] = "" },
		"up in plain":        func(a map[string]any) { a["up"] = "http://login.example/v1/up" },
		"down in nonsense":   func(a map[string]any) { a["down"] = "*" },
		"a name that is not": func(a map[string]any) { a["name"] = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, holding(), func(h *house) {
				h.cloud.answering(change)
				h.approve()
				h.sleep(10 * time.Second)
				h.expect(client.PairApproved)
				h.cloud.answering(nil)
				h.sleep(2 * time.Minute)
				h.linked()
			})
		})
	}
}

func TestTheJoinSendsTheDevicesKey(t *testing.T) {
	in(t, holding(), func(h *house) {
		var id string
		h.cloud.failing(func(_ http.ResponseWriter, r *http.Request) bool {
			var body struct {
				Key json.RawMessage `json:"public_key"`
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err == nil {
				if pub, err := jose.ParseJWK(body.Key); err == nil {
					id = jose.Thumbprint(pub)
				}
			}
			_, token, _ := cut(r.Header.Get("Authorization"))
			p, err := jose.VerifyProof(r.Header.Get("DPoP"), r.Method, pairingtest.Issuer+r.URL.Path, token)
			if err != nil || p.JKT != id {
				h.Errorf("proof %+v, %v", p, err)
			}
			return false
		})
		h.approve()
		h.linked()
		if id != jose.Thumbprint(h.key.Public()) {
			h.Errorf("sent the key %q", id)
		}
	})
}

func cut(header string) (kind, token string, ok bool) {
	if len(header) > 5 && header[:5] == "DPoP " {
		return "DPoP", header[5:], true
	}
	return "", "", false
}

func TestTheServerRefusesTheLink(t *testing.T) {
	for name, refuse := range map[string]func(*house){
		"forbidden": func(h *house) { h.cloud.failing(status(http.StatusForbidden)) },
		"revoked": func(h *house) {
			h.cloud.failing(func(w http.ResponseWriter, _ *http.Request) bool {
				h.server.Revoke()
				w.WriteHeader(http.StatusUnauthorized)
				return true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, holding(), func(h *house) {
				refuse(h)
				h.approve()
				if got := h.session.Show(); got.State != client.PairDenied || got.Problem == "" {
					h.Errorf("shows %+v", got)
				}
				h.expectSteps(session.Shown, session.Approved, session.Stored, session.Denied)
				if _, ok := h.db.Active(); ok {
					h.Error("there is a link")
				}
				h.restart()
				h.expect(client.PairNone)
			})
		})
	}
}

// With a pin only one root may come with a link.
func TestRootPin(t *testing.T) {
	for _, pinned := range []bool{true, false} {
		in(t, holding(), func(h *house) {
			h.stop()
			h.cfg.RootPin = jose.Thumbprint(jose.GenerateKey().Public())
			if pinned {
				h.cfg.RootPin = jose.Thumbprint(h.cloud.root.Public())
			}
			h.run()
			h.approve()
			if got := h.session.Show(); pinned != (got.State == client.PairLinked) || !pinned && got.State != client.PairDenied {
				h.Errorf("pinned %v: shows %+v", pinned, got)
			}
			if _, ok := h.db.Active(); ok != pinned {
				h.Errorf("pinned %v: there is a link: %v", pinned, ok)
			}
		})
	}
}

// What the join used is on the disk before it is used.
func TestTokensAreStoredBeforeTheJoin(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.cloud.failing(func(_ http.ResponseWriter, r *http.Request) bool {
			_, token, _ := cut(r.Header.Get("Authorization"))
			p, ok, err := h.db.Pairing()
			if err != nil || !ok || p.Tokens == nil || p.Tokens.AccessToken != pairing.Secret(token) {
				h.Errorf("used before it is stored: %v, %v", ok, err)
			}
			return false
		})
		h.approve()
		link := h.linked()
		stored, err := h.db.Tokens(link)
		if err != nil || stored.RefreshToken == "" {
			h.Errorf("stored %+v, %v", stored, err)
		}
	})
}

func TestASecondPersonJoins(t *testing.T) {
	in(t, holding(), func(h *house) {
		first := h.pair()
		h.cloud.link = cardea.NewID[cardea.LinkID]()
		h.approve()
		if got := h.session.Show(); got.State != client.PairLinked || got.Link != h.cloud.link {
			h.Errorf("shows %+v", got)
		}
		if active, _ := h.db.Active(); active != first {
			h.Error("the second link has become the active one by itself")
		}
		links, err := h.db.Links()
		if err != nil || len(links) != 2 {
			h.Errorf("%d links, %v", len(links), err)
		}
	})
}
