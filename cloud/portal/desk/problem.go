package desk

import "net/http"

// A Problem is why a request has no answer, and what to do about it, for the
// owner to read.
type Problem struct {
	Status int
	// Key names two messages, Key.title and Key.text, and Args fill in both.
	Key  string
	Args []any
	// Link is where to go on and Word the key of what is said there. Empty: to the
	// first page.
	Link, Word string
	Code       string // what was typed, for a page that asks for a code
	AskCode    bool

	Title, Text string // in words, where there is no key
}

func (e Problem) Error() string { return e.Key + e.Title }

// Problems of any page.
var (
	ErrNoPage  = Problem{Status: http.StatusNotFound, Key: "problem.no_page"}
	ErrForeign = Problem{Status: http.StatusForbidden, Key: "problem.foreign"}
	errOurs    = Problem{Status: http.StatusInternalServerError, Key: "problem.ours"}
)

func (d *Desk) showProblem(w http.ResponseWriter, v Visit, e Problem) {
	if e.Key != "" {
		e.Title, e.Text = v.Language.Text(e.Key+".title", e.Args...), v.Language.Text(e.Key+".text", e.Args...)
	}
	if e.Link == "" {
		e.Link, e.Word = Home, "problem.go.choices"
	}
	e.Word = v.Language.Text(e.Word)
	if err := d.problems.Show(w, v, e.Status, "problem.html", View{Title: e.Title, Body: e}); err != nil {
		d.Log.Error("problem page failed", "err", err)
		http.Error(w, e.Title, e.Status)
	}
}
