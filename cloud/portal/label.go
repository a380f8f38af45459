package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// Labels is who asks under the label of a device without a screen:
// *issuer.Issuer.
type Labels interface {
	LookupLabel(ctx context.Context, account cardea.AccountID, label pairing.Label, from netip.Addr) (issuer.LabelRequest, error)
	ApproveLabel(ctx context.Context, account cardea.AccountID, label pairing.Label, name string) error
	DenyLabel(ctx context.Context, account cardea.AccountID, label pairing.Label) error
}

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
func (p *Portal) showLabel(w http.ResponseWriter, r *http.Request, v visit) error {
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

func (p *Portal) lookupLabel(r *http.Request, v visit, text string) (pairing.Label, issuer.LabelRequest, error) {
	label, err := pairing.ParseLabel(text)
	if err != nil {
		return "", issuer.LabelRequest{}, err
	}
	asks, err := p.labels.LookupLabel(r.Context(), v.Account, label, p.address(r))
	return label, asks, err
}

// A labelled is a device without a screen as the pages show it.
type labelled struct {
	request
	Label   string
	Presses string // in words
	Grant   string
}

func (p *Portal) showLabelRequest(w http.ResponseWriter, v visit, status int, label pairing.Label, asks issuer.LabelRequest, name, wrong string) error {
	body := newRequest(asks.Request, name)
	body.Choices, body.Wrong = nil, wrong
	return p.show(w, v, status, "label.html", view{Title: "Is this your " + body.Kind.Word + "?", Section: "pair", Body: labelled{request: body, Label: string(label)}})
}

// lookAgain is how soon a page that waits asks again.
const lookAgain = 2 * time.Second

func reload(w http.ResponseWriter) {
	w.Header().Set("Refresh", strconv.Itoa(int(lookAgain.Seconds())))
}

func (p *Portal) asleep(w http.ResponseWriter, v visit, label pairing.Label) error {
	reload(w)
	return p.show(w, v, http.StatusOK, "asleep.html", view{Title: "Wake the device", Section: "pair", Body: labelled{Label: string(label)}})
}

func (p *Portal) showPress(w http.ResponseWriter, v visit, label pairing.Label, asks issuer.LabelRequest) error {
	reload(w)
	words := [...]string{2: "twice", 3: "three times", 4: "four times", 5: "five times"}
	body := labelled{request: newRequest(asks.Request, ""), Label: string(label), Presses: words[asks.Presses], Grant: string(asks.Grant)}
	return p.show(w, v, http.StatusOK, "press.html", view{Title: "Press its button " + body.Presses, Section: "pair", Body: body})
}

// postLabel takes the owner's answer.
func (p *Portal) postLabel(w http.ResponseWriter, r *http.Request, v visit) error {
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
		name, wrong := checkName(r.PostFormValue("name"))
		if wrong != "" {
			return p.showLabelRequest(w, v, http.StatusUnprocessableEntity, label, asks, typedName(r), wrong)
		}
		if err := p.labels.ApproveLabel(r.Context(), v.Account, label, name); err != nil {
			return labelProblem(err)
		}
		http.Redirect(w, r, labelLink(string(label)), http.StatusSeeOther)
		return nil
	case "decline":
		if err := p.labels.DenyLabel(r.Context(), v.Account, label); err != nil {
			return labelProblem(err)
		}
		http.Redirect(w, r, "/pair/declined", http.StatusSeeOther)
		return nil
	}
	return problem{Status: http.StatusUnprocessableEntity, Title: "No answer", Text: "Choose Approve or Decline. Nothing has happened yet.",
		Link: labelLink(string(label)), Word: "Back to the device"}
}

// labelProblem says what became of a label and what to do.
func labelProblem(err error) error {
	switch {
	case errors.Is(err, pairing.ErrInvalidLabel):
		return problem{Status: http.StatusUnprocessableEntity, Title: "This is not a whole label",
			Text: "A label has twenty letters, and neither vowels nor digits. Scan it again.", Link: "/pair", Word: "Add a device"}
	case errors.Is(err, issuer.ErrAsleep):
		return problem{Status: http.StatusGone, Title: "The device asks no more",
			Text: "Hold its button until it blinks, then scan the label again.", Link: "/pair", Word: "Add a device"}
	case errors.Is(err, issuer.ErrUsed):
		return problem{Status: http.StatusConflict, Title: "This device was answered already", Link: "/devices", Word: "Your devices",
			Text: "If it is among your devices, all is well. If not, somebody else said yes, or the button was pressed another number of times: do not press it now. Hold it until it blinks, then scan the label again."}
	case errors.Is(err, issuer.ErrInactive):
		return codeProblem(err, "")
	}
	return fmt.Errorf("label: %w", err)
}
