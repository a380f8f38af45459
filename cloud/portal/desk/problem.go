package desk

import "net/http"

// A Problem is why a request has no answer, and what to do about it, for the
// owner to read.
type Problem struct {
	Status     int
	Title      string
	Text       string
	Link, Word string // where to go on; empty: to the first page
	Code       string // what was typed, for a page that asks for a code
	AskCode    bool
}

func (e Problem) Error() string { return e.Title + ": " + e.Text }

// Problems of any page.
var (
	ErrNoPage  = Problem{Status: http.StatusNotFound, Title: "There is nothing here", Text: "The address may be mistyped or old."}
	ErrForeign = Problem{Status: http.StatusForbidden, Title: "This page was too old",
		Text: "What you sent did not come from a page of this visit, so nothing was changed. Go on from here and do it once more."}
	errOurs = Problem{Status: http.StatusInternalServerError, Title: "Something failed here",
		Text: "It is our fault, not yours. Look whether your change is there before you make it again."}
)

func (d *Desk) showProblem(w http.ResponseWriter, v Visit, e Problem) {
	if e.Link == "" {
		e.Link, e.Word = Home, "Go to your choices"
	}
	if err := d.problems.Show(w, v, e.Status, "problem.html", View{Title: e.Title, Body: e}); err != nil {
		d.Log.Error("problem page failed", "err", err)
		http.Error(w, e.Title, e.Status)
	}
}
