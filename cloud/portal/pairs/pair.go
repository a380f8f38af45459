package pairs

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// A request is a device that asks to be paired, as the page shows it.
type request struct {
	Code        string
	Kind        desk.Kind
	Model       string
	Serial      string
	Asked       language.Moment
	Ends        language.Moment
	SameNetwork bool
	Choices     []pairing.UserCode // to pick from; none where the code is shown to be compared
	NotPicked   bool
	Name        string
	Wrong       string // what is wrong with the name, if something is
	MaxName     int
}

// showPair asks for a code or shows who is behind one. It approves nothing,
// whoever opens it and however (RFC 8628, Section 5.4).
func (p *Room) showPair(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	typed := r.URL.Query().Get("code")
	if strings.TrimSpace(typed) == "" {
		return p.Pages.Show(w, v, http.StatusOK, "code.html", desk.View{Title: "pairs.add", Section: "pair"})
	}
	_, asks, err := p.lookup(r, v, typed)
	if err != nil {
		return err
	}
	name, err := p.suggest(r, v, cardea.DeviceKind(asks.Device.Kind))
	if err != nil {
		return err
	}
	return p.showRequest(w, v, http.StatusOK, newRequest(v, asks, name))
}

// shortPair is the address in a small QR code, whose letters are all capitals.
func shortPair(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/pair?"+url.Values{"code": {r.PathValue("code")}}.Encode(), http.StatusSeeOther)
}

// newRequest is what asks as the page shows it. An owner on another network is
// not shown the code: to pick it out of three is to have seen the device.
func newRequest(v desk.Visit, asks issuer.Request, name string) request {
	now := time.Now()
	body := request{
		Code: string(asks.Code), Kind: desk.KindOf(cardea.DeviceKind(asks.Device.Kind)), Model: asks.Device.Model, Serial: asks.Device.Serial,
		Asked: v.Language.Ago(asks.Requested, now), Ends: v.Language.Clock(asks.Expires, now), SameNetwork: asks.SameNetwork,
		Name: name, MaxName: desk.MaxName,
	}
	if !asks.SameNetwork {
		body.Choices = asks.Choices
	}
	return body
}

func (p *Room) showRequest(w http.ResponseWriter, v desk.Visit, status int, body request) error {
	return p.Pages.Show(w, v, status, "pair.html", desk.View{Title: "pairs.yours." + string(body.Kind), Section: "pair", Body: body})
}

// lookup finds who asks with a code.
func (p *Room) lookup(r *http.Request, v desk.Visit, typed string) (pairing.UserCode, issuer.Request, error) {
	code, err := pairing.ParseUserCode(typed)
	if err != nil {
		return "", issuer.Request{}, codeProblem(err, typed)
	}
	asks, err := p.codes.Lookup(r.Context(), v.Account, code, p.Address(r))
	if err != nil {
		return "", issuer.Request{}, codeProblem(err, typed)
	}
	return code, asks, nil
}

// suggest is a name for the device that nothing of the owner's has.
func (p *Room) suggest(r *http.Request, v desk.Visit, k cardea.DeviceKind) (string, error) {
	devices, err := p.devices.Devices(r.Context(), v.Account)
	if err != nil {
		return "", err
	}
	grants, err := p.codes.Grants(r.Context(), v.Account)
	if err != nil {
		return "", err
	}
	var taken []string
	for _, d := range devices {
		taken = append(taken, d.Name)
	}
	for _, g := range grants {
		taken = append(taken, g.Name)
	}
	return v.Suggest(desk.KindOf(k), taken), nil
}

// postPair takes the owner's answer: Approve with a name, or Decline.
func (p *Room) postPair(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	typed := r.PostFormValue("code")
	code, err := pairing.ParseUserCode(typed)
	if err != nil {
		return codeProblem(err, typed)
	}
	switch r.PostFormValue("answer") {
	case "approve":
		return p.approve(w, r, v, code)
	case "decline":
		if err := p.codes.Deny(r.Context(), v.Account, code); err != nil {
			return codeProblem(err, "")
		}
		http.Redirect(w, r, "/pair/declined", http.StatusSeeOther)
		return nil
	}
	return desk.Problem{Status: http.StatusUnprocessableEntity, Key: "pairs.no_answer", Link: pairLink(code), Word: "pairs.back"}
}

// approve gives the device to the owner, if the form is whole and the code was
// picked where it had to be. Who picks another does not see the device: it is
// declined, because a second try at three would find it.
func (p *Room) approve(w http.ResponseWriter, r *http.Request, v desk.Visit, code pairing.UserCode) error {
	_, asks, err := p.lookup(r, v, string(code))
	if err != nil {
		return err
	}
	name, wrong := v.CheckName(r.PostFormValue("name"))
	picked, err := pairing.ParseUserCode(r.PostFormValue("picked"))
	notPicked := !asks.SameNetwork && err != nil
	if wrong != "" || notPicked {
		body := newRequest(v, asks, typedName(r))
		body.Wrong, body.NotPicked = wrong, notPicked
		return p.showRequest(w, v, http.StatusUnprocessableEntity, body)
	}
	if !asks.SameNetwork && picked != code {
		if err := p.codes.Deny(r.Context(), v.Account, code); err != nil {
			return codeProblem(err, "")
		}
		return errOtherCode
	}
	if err := p.Sure(v, desk.Pairing, pairLink(code)); err != nil {
		return err
	}
	if err := p.tells(r, v, asks.Grant, name); err != nil {
		return err
	}
	grant, err := p.codes.Approve(r.Context(), v.Account, code, name)
	if err != nil {
		return codeProblem(err, "")
	}
	p.told()
	http.Redirect(w, r, "/pair/approved?"+url.Values{"grant": {string(grant)}}.Encode(), http.StatusSeeOther)
	return nil
}

var errOtherCode = desk.Problem{Status: http.StatusConflict, Key: "pairs.other_code", AskCode: true}

// typedName is the name as it was typed, to be shown again.
func typedName(r *http.Request) string {
	typed := r.PostFormValue("name")
	if len(typed) > desk.MaxNameBytes {
		return ""
	}
	return strings.ToValidUTF8(typed, "")
}

func pairLink(code pairing.UserCode) string {
	return "/pair?" + url.Values{"code": {string(code)}}.Encode()
}

// codeProblem says what became of a code and what to do. typed is filled in
// again where there may be a slip in it.
func codeProblem(err error, typed string) error {
	switch {
	case errors.Is(err, pairing.ErrInvalidUserCode):
		return desk.Problem{Status: http.StatusUnprocessableEntity, Key: "pairs.no_code", AskCode: true, Code: clip(typed)}
	case errors.Is(err, issuer.ErrWrongCode):
		return desk.Problem{Status: http.StatusNotFound, Key: "pairs.unknown", AskCode: true, Code: clip(typed)}
	case errors.Is(err, issuer.ErrExpired):
		return desk.Problem{Status: http.StatusGone, Key: "pairs.expired", AskCode: true}
	case errors.Is(err, issuer.ErrUsed):
		return desk.Problem{Status: http.StatusConflict, Key: "pairs.used", AskCode: true}
	case errors.Is(err, issuer.ErrInactive):
		return desk.Problem{Status: http.StatusForbidden, Key: "problem.switched_off"}
	}
	if many, ok := errors.AsType[issuer.ErrTooManyGuesses](err); ok {
		return desk.Problem{Status: http.StatusTooManyRequests, Key: "pairs.too_many", Args: []any{"Wait", many.RetryAfter},
			Link: "/pair", Word: "problem.go.again"}
	}
	return fmt.Errorf("pair: %w", err)
}

// clip keeps what was typed short enough to be shown again.
func clip(typed string) string {
	typed = strings.ToValidUTF8(typed, "")
	if len(typed) > 64 {
		return ""
	}
	return typed
}

// A newcomer is what the page after approving shows. Name is empty while the
// device has not taken over.
type newcomer struct {
	Name string
	Kind desk.Kind
	Link string
}

// showApproved waits a moment for the device to take over, which takes
// milliseconds where it waits for the answer.
func (p *Room) showApproved(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	body := newcomer{Kind: desk.KindOf("")}
	_, err := desk.Settle(r.Context(), p.devices, v.Account, func(devices []hub.Device) bool {
		i := slices.IndexFunc(devices, func(d hub.Device) bool { return d.Grant != "" && d.Grant == r.URL.Query().Get("grant") })
		if i >= 0 {
			body = newcomer{Name: devices[i].Name, Kind: desk.KindOf(devices[i].Kind), Link: devices[i].Link.String()}
		}
		return i >= 0
	})
	if err != nil {
		return err
	}
	return p.Pages.Show(w, v, http.StatusOK, "approved.html", desk.View{Title: "pairs.approved", Section: "pair", Body: body})
}

func (p *Room) showDeclined(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.Pages.Show(w, v, http.StatusOK, "declined.html", desk.View{Title: "pairs.declined", Section: "pair"})
}
