package pairs

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// shortLabel is the address on a label.
func shortLabel(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, labelLink(r.PathValue("label")), http.StatusSeeOther)
}

func labelLink(label string) string {
	return "/pair/label?" + url.Values{"label": {label}}.Encode()
}

// showLabel shows who asks under a label, or, to the owner who said yes, how
// often to press its button. It approves nothing. The page asks again by itself
// while it waits: for the device to wake, or for the button.
func (p *Room) showLabel(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	label, asks, err := p.lookupLabel(r, v, r.URL.Query().Get("label"))
	if errors.Is(err, issuer.ErrAsleep) {
		return p.asleep(w, v, label)
	}
	if err != nil {
		return labelProblem(err)
	}
	switch {
	case asks.Done:
		http.Redirect(w, r, "/pair/approved?"+url.Values{"grant": {string(asks.Grant)}}.Encode(), http.StatusSeeOther)
		return nil
	case asks.Presses > 0:
		return p.showPress(w, v, label, asks)
	}
	name, err := p.suggest(r, v, cardea.DeviceKind(asks.Device.Kind))
	if err != nil {
		return err
	}
	return p.showLabelRequest(w, v, http.StatusOK, label, asks, name, "")
}

func (p *Room) lookupLabel(r *http.Request, v desk.Visit, text string) (pairing.Label, issuer.LabelRequest, error) {
	label, err := pairing.ParseLabel(text)
	if err != nil {
		return "", issuer.LabelRequest{}, err
	}
	asks, err := p.labels.LookupLabel(r.Context(), v.Account, label, p.Address(r))
	return label, asks, err
}

// A labelled is a device without a screen as the pages show it.
type labelled struct {
	request
	Label   string
	Presses string // a member of the family of messages "pairs.press"
	Grant   string
}

func (p *Room) showLabelRequest(w http.ResponseWriter, v desk.Visit, status int, label pairing.Label, asks issuer.LabelRequest, name, wrong string) error {
	body := newRequest(v, asks.Request, name)
	body.Choices, body.Wrong = nil, wrong
	return p.Pages.Show(w, v, status, "label.html", desk.View{Title: "pairs.yours." + string(body.Kind), Section: "pair", Body: labelled{request: body, Label: string(label)}})
}

// lookAgain is how soon a page that waits asks again.
const lookAgain = 2 * time.Second

func reload(w http.ResponseWriter) {
	w.Header().Set("Refresh", strconv.Itoa(int(lookAgain.Seconds())))
}

func (p *Room) asleep(w http.ResponseWriter, v desk.Visit, label pairing.Label) error {
	reload(w)
	return p.Pages.Show(w, v, http.StatusOK, "asleep.html", desk.View{Title: "pairs.wake", Section: "pair", Body: labelled{Label: string(label)}})
}

func (p *Room) showPress(w http.ResponseWriter, v desk.Visit, label pairing.Label, asks issuer.LabelRequest) error {
	reload(w)
	body := labelled{request: newRequest(v, asks.Request, ""), Label: string(label), Presses: "n" + strconv.Itoa(asks.Presses), Grant: string(asks.Grant)}
	return p.Pages.Show(w, v, http.StatusOK, "press.html", desk.View{Title: "pairs.press." + body.Presses, Section: "pair", Body: body})
}

// postLabel takes the owner's answer.
func (p *Room) postLabel(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	label, asks, err := p.lookupLabel(r, v, r.PostFormValue("label"))
	if err != nil {
		return labelProblem(err)
	}
	if asks.Done || asks.Presses > 0 { // answered by this account, a moment ago
		http.Redirect(w, r, labelLink(string(label)), http.StatusSeeOther)
		return nil
	}
	switch r.PostFormValue("answer") {
	case "approve":
		name, wrong := v.CheckName(r.PostFormValue("name"))
		if wrong != "" {
			return p.showLabelRequest(w, v, http.StatusUnprocessableEntity, label, asks, typedName(r), wrong)
		}
		if err := p.Sure(v, desk.Pairing, labelLink(string(label))); err != nil {
			return err
		}
		if err := p.tells(r, v, asks.Grant, name); err != nil {
			return err
		}
		if err := p.labels.ApproveLabel(r.Context(), v.Account, label, name); err != nil {
			return labelProblem(err)
		}
		p.told()
		http.Redirect(w, r, labelLink(string(label)), http.StatusSeeOther)
		return nil
	case "decline":
		if err := p.labels.DenyLabel(r.Context(), v.Account, label); err != nil {
			return labelProblem(err)
		}
		http.Redirect(w, r, "/pair/declined", http.StatusSeeOther)
		return nil
	}
	return desk.Problem{Status: http.StatusUnprocessableEntity, Key: "pairs.no_answer", Link: labelLink(string(label)), Word: "pairs.back"}
}

// labelProblem says what became of a label and what to do.
func labelProblem(err error) error {
	switch {
	case errors.Is(err, pairing.ErrInvalidLabel):
		return desk.Problem{Status: http.StatusUnprocessableEntity, Key: "pairs.no_label", Link: "/pair", Word: "pairs.add"}
	case errors.Is(err, issuer.ErrAsleep):
		return desk.Problem{Status: http.StatusGone, Key: "pairs.asks_no_more", Link: "/pair", Word: "pairs.add"}
	case errors.Is(err, issuer.ErrUsed):
		return desk.Problem{Status: http.StatusConflict, Key: "pairs.answered", Link: "/devices", Word: "problem.go.devices"}
	case errors.Is(err, issuer.ErrInactive):
		return codeProblem(err, "")
	}
	return fmt.Errorf("label: %w", err)
}
