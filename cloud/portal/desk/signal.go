package desk

import (
	"net/http"
	"time"
)

// asksNotToSell reports whether a browser sends Global Privacy Control's signal:
// one field with the value "1". Anything else means nothing.
func asksNotToSell(r *http.Request) bool {
	fields := r.Header.Values("Sec-GPC")
	return len(fields) == 1 && fields[0] == "1"
}

// hear honours the signal of a browser in which an owner is signed in, before the
// page is made that tells them so. It stops something, which needs no page of ours
// to come from; who sees none of our pages is heard when they next do.
func (d *Desk) hear(r *http.Request, v Visit) {
	if !v.Signal || d.Refuse == nil || r.Method != http.MethodGet {
		return
	}
	if d.Clock != nil && d.Clock(time.Now()) != nil { // it will be said again
		return
	}
	if err := d.Refuse(r.Context(), v.Account); err != nil {
		d.Log.ErrorContext(r.Context(), "the browser's signal was not honoured", "err", err)
	}
}
