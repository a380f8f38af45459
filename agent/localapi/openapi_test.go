package localapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/notices"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/openapi"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// underContract has every exchange of a test compared with openapi.yaml. Fuzz
// tests and benchmarks go without: the one sends what nobody may, the other
// measures.
func (h *house) underContract(t testing.TB) {
	t.Helper()
	test, ok := t.(*testing.T)
	if !ok {
		return
	}
	if h.contract == nil {
		contract, err := openapi.Load("openapi.yaml")
		if err != nil {
			t.Fatal(err)
		}
		h.contract = contract
	}
	h.server.Wrap(func(next http.Handler) http.Handler {
		return h.contract.Watch(next, func(err error) { test.Errorf("against openapi.yaml: %v", err) })
	})
}

// refused is how a call is made to be answered with a status: what is wrong with
// the house, or with the request.
type refused struct {
	status int
	call   string // as Contract.Unseen has it; empty: all calls with a body
	body   string
	header []string
	house  func(*house)
}

// TestOpenAPIBothWays compares openapi.yaml with the server from both sides: a
// call that is served and not in the file fails, and so does an answer in the
// file that the server was not seen to give here.
func TestOpenAPIBothWays(t *testing.T) {
	contract, err := openapi.Load("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	served := h.server.Calls()
	slices.Sort(served)
	for _, call := range contract.Operations() {
		if !slices.Contains(served, call) {
			t.Errorf("%s is in the file and is not served", call)
		}
	}
	for _, call := range served {
		if !slices.Contains(contract.Operations(), call) {
			t.Errorf("%s is served and is not in the file", call)
		}
	}
	t.Run("answers", func(t *testing.T) { everyAnswer(t, contract) })
	for _, call := range contract.Unseen() {
		t.Errorf("%s is in the file and nothing called it so", call)
	}
}

// everyAnswer provokes every answer that is in the file.
func everyAnswer(t *testing.T, contract *openapi.Contract) {
	everythingWorks(t, contract)
	everythingRefuses(t, contract)
	for _, r := range particular {
		h := newHouseWith(t, contract)
		if r.house != nil {
			r.house(h)
		}
		method, path, _ := strings.Cut(r.call, " ")
		path = strings.ReplaceAll(path, "{id}", h.link.String())
		if status, answer := h.send(t, method, path, r.body, r.header...); status != r.status {
			t.Errorf("%s %s: %d %s, want %d", r.call, r.body, status, answer, r.status)
		}
	}
}

func everythingWorks(t *testing.T, contract *openapi.Contract) {
	h := newHouseWith(t, contract)
	for _, c := range calls(h) {
		if status, answer := h.send(t, c.method, c.path, c.body); status != http.StatusOK {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, answer)
		}
	}
}

// everythingRefuses is what each call does alike: a stranger, another host, and a
// body that is none of its own.
func everythingRefuses(t *testing.T, contract *openapi.Contract) {
	stranger := newHouseWith(t, contract, "name = \"other\"\nuser = \"54321\"")
	h := newHouseWith(t, contract)
	for _, c := range calls(h) {
		answers := map[int]func() (int, string){
			403: func() (int, string) {
				if c.path == "/v1/whoami" { // strangers too may ask who they are, browsers may not
					return h.send(t, c.method, c.path, c.body, "Origin", "http://localhost")
				}
				return stranger.send(t, c.method, c.path, c.body)
			},
			421: func() (int, string) { return h.send(t, c.method, c.path, c.body, "Host", "evil.example") },
			400: func() (int, string) { return h.send(t, c.method, c.path, `{"no_such_field":1}`) },
		}
		if c.body != "" {
			answers[413] = func() (int, string) { return h.send(t, c.method, c.path, `"`+strings.Repeat("x", 64<<10)+`"`) }
			answers[415] = func() (int, string) { return h.send(t, c.method, c.path, c.body, "Content-Type", "text/plain") }
		}
		for want, send := range answers {
			if status, answer := send(); status != want {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, answer, want)
			}
		}
	}
}

const (
	promptCode = "/v1/prompt/qr.png?key=voice/use"
	notice     = "/v1/notice?key=voice/use"

	yes    = `{"key":"recommendations/use","reach":"everyone"}`
	no     = `{"key":"voice/use"}`
	set    = `{"key":"voice_speed","value":22}`
	absent = `{"key":"voice/use","link":"AAAAAAAAAAAAAAAAAAAAAQ"}`
)

// particular is what only some calls answer.
var particular = slices.Concat(
	broken(500, errors.New("the disk is full"), "POST /v1/pair {}", `POST /v1/pair/confirm {"presses":3}`, "DELETE /v1/pair", "POST /v1/consents/withdraw "+no,
		"POST /v1/consents/allow "+yes, "PUT /v1/preferences "+set, "POST /v1/links/{id}/activate {}", "POST /v1/guest {}", "POST /v1/reset {}"),
	broken(503, fmt.Errorf("decide: %w", devicedb.ErrDamaged), "POST /v1/consents/withdraw "+no, "POST /v1/consents/allow "+yes,
		"PUT /v1/preferences "+set, "POST /v1/links/{id}/activate {}", "POST /v1/guest {}", "DELETE /v1/links/{id}"),
	broken(503, session.ErrOffline, "POST /v1/pair {}", `POST /v1/pair/confirm {"presses":3}`, "POST /v1/reset {}"),
	broken(403, &pairing.Error{Code: "a_word_of_its_own", Status: 400}, "POST /v1/pair {}"),
	broken(503, syncer.ErrFull, "POST /v1/consents/withdraw "+no),
	broken(503, errors.New("the disk is full"), `POST /v1/events {"events":[`+played+`]}`),
	every(404, func(h *house) { h.server.Collector = nil }, `POST /v1/events {"events":[`+played+`]}`),
	every(500, func(h *house) { h.db.Close() }, "GET /v1/status", "GET /v1/identity", "GET /v1/consents", "GET /v1/preferences",
		"GET /v1/links", "DELETE /v1/links/{id}"),
	broken(503, errors.New("no memory"), "GET /v1/page"),
	every(503, damaged, "GET /v1/identity", "GET /v1/consents", "GET /v1/preferences"),
	every(409, guest, "GET /v1/identity", "GET /v1/consents", "GET /v1/preferences", `POST /v1/token {"audience":"a"}`,
		"POST /v1/consents/withdraw "+no, "POST /v1/consents/allow "+yes, "PUT /v1/preferences "+set),
	every(409, nil, `POST /v1/pair/confirm {"presses":3}`, "GET /v1/pair/qr.png", "GET /v1/pair/qr.svg", "GET /v1/pair/qr.txt", "GET /v1/pair/spoken"),
	every(500, unwieldy, "GET /v1/pair/qr.png", "GET /v1/pair/qr.svg", "GET /v1/pair/qr.txt"),
	every(404, nil, "DELETE /v1/links/AAAAAAAAAAAAAAAAAAAAAQ", "POST /v1/links/AAAAAAAAAAAAAAAAAAAAAQ/activate {}",
		"POST /v1/consents/withdraw "+absent, `PUT /v1/preferences {"key":"color","value":1}`),
	every(404, gone, "POST /v1/consents/allow "+yes),
	every(429, func(h *house) { h.server.Crowd(os.Getuid()) }, "POST /v1/pair {}", `POST /v1/pair/confirm {"presses":3}`, `POST /v1/token {"audience":"a"}`, "GET /v1/watch"),
	every(409, guest, "POST /v1/prompt "+no, "GET "+promptCode, "GET "+notice),
	every(404, nil, `POST /v1/prompt {"key":"none/use"}`, "GET /v1/prompt/qr.png?key=none/use", "GET /v1/notice?key=none/use"),
	every(500, func(h *house) { h.db.Close() }, "POST /v1/prompt "+no, "GET "+promptCode, "GET "+notice),
	every(503, damaged, "POST /v1/prompt "+no, "GET "+promptCode, "GET "+notice),
	every(503, func(h *house) { h.noticeErr = notices.ErrOffline }, "GET "+notice),
	every(404, func(h *house) { h.noticeErr = notices.ErrNone }, "GET "+notice),
	every(429, func(h *house) { h.server.Crowd(os.Getuid()) }, "GET "+notice),
	every(404, fixed, "POST /v1/reset {}", `POST /v1/pair {"for":"new_owner"}`),
	every(500, func(h *house) { h.tokenErr = errors.New("the disk is full") }, `POST /v1/token {"audience":"a"}`),
	every(503, func(h *house) { h.tokenErr = session.ErrOffline }, `POST /v1/token {"audience":"a"}`),
)

// broken are calls in a house whose every decision fails.
func broken(status int, err error, calls ...string) []refused {
	return every(status, func(h *house) { h.broken = err }, calls...)
}

func every(status int, f func(*house), calls ...string) (all []refused) {
	for _, call := range calls {
		parts := strings.SplitN(call, " ", 3)
		all = append(all, refused{status: status, call: parts[0] + " " + parts[1], body: strings.Join(parts[2:], ""), house: f})
	}
	return all
}

// guest: nobody is linked.
func guest(h *house) {
	if err := h.Unlink(h.link); err != nil {
		panic(err)
	}
}

// gone: who was active has left a moment ago.
func gone(h *house) {
	h.broken = devicedb.ErrNotFound
}

// unwieldy: the server's address is too long for a picture.
func unwieldy(h *house) {
	h.pairing = client.Pairing{State: client.PairPending, VerificationURIComplete: "https://id.example/" + strings.Repeat("x", 5000)}
}

// fixed: the device can not be reset from here.
func fixed(h *house) { h.server.Resetter = nil }

// damaged: the link's state on the disk is no longer what was written.
func damaged(h *house) {
	h.db.Close()
	file, err := bbolt.Open(h.path, 0o600, nil)
	if err == nil {
		err = file.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("links")).Put(h.link[:], []byte("not what was written"))
		})
		err = errors.Join(err, file.Close())
	}
	if err == nil {
		h.db, err = devicedb.Open(h.path, [32]byte{1})
	}
	if err != nil {
		panic(err)
	}
	h.server.DB = h.db
}

// A server that is not ours may answer any word. Programs hear of a closed list.
func TestForeignWords(t *testing.T) {
	h := newHouse(t, fmt.Sprintf(everything, os.Getuid()))
	h.tokenErr = &pairing.Error{Code: "interaction_required", Description: "press the blue button", Status: 400}
	_, err := h.client(t).Token(t.Context(), client.TokenRequest{Audience: "a"})
	if code(err) != "refused" || !strings.Contains(err.Error(), "interaction_required: press the blue button") {
		t.Errorf("told: %v", err)
	}
	h.broken = cardea.ErrInvalidKey
	if _, err := h.client(t).Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"}); code(err) != "invalid_request" {
		t.Errorf("told: %v", err)
	}
}
