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
}

func (e Problem) Error() string { return e.Key }

// A saidProblem is one in the owner's language.
type saidProblem struct {
	Problem
	Title, Text, Word string
}

// Problems of any page.
var (
	ErrNoPage  = Problem{Status: http.StatusNotFound, Key: "problem.no_page"}
	ErrForeign = Problem{Status: http.StatusForbidden, Key: "problem.foreign"}
	errOurs    = Problem{Status: http.StatusInternalServerError, Key: "problem.ours"}
)

func (d *Desk) showProblem(w http.ResponseWriter, v Visit, e Problem) {
	if e.Link == "" {
		e.Link, e.Word = Home, "problem.go.choices"
	}
	l := v.Language
	said := saidProblem{Problem: e, Title: l.Text(e.Key+".title", e.Args...), Text: l.Text(e.Key+".text", e.Args...), Word: l.Text(e.Word)}
	if err := d.problems.Show(w, v, e.Status, "problem.html", View{Title: said.Title, Body: said}); err != nil {
		d.Log.Error("problem page failed", "err", err)
		http.Error(w, said.Title, e.Status)
	}
}
