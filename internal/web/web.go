// Package web is how every HTTP surface of Cardea reads and answers JSON: one
// body limit, one content type, one shape of errors, and the headers a browser
// should be given. Internal text never reaches a client: only an *Error is
// shown, everything else is logged and answered as a server error.
package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
)

// MaxBody is the largest request body that is read, in bytes.
const MaxBody = 64 << 10

// An Error is meant for the client. Code is a stable word, Description says
// what to do about it.
type Error struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Errorf makes an Error.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Description: fmt.Sprintf(format, args...)}
}

// ReadJSON decodes a request body into v. It refuses another content type, an
// unknown field, more than one value, and bodies over MaxBody.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if !is(r.Header.Get("Content-Type"), "application/json") {
		return Errorf(http.StatusUnsupportedMediaType, "unsupported_media_type", "send application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bodyError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Errorf(http.StatusBadRequest, "invalid_request", "send one JSON value")
	}
	return nil
}

// ReadBody reads a body of the media type, at most limit bytes.
func ReadBody(w http.ResponseWriter, r *http.Request, media string, limit int64) ([]byte, error) {
	if !is(r.Header.Get("Content-Type"), media) {
		return nil, Errorf(http.StatusUnsupportedMediaType, "unsupported_media_type", "send %s", media)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err)
	}
	return body, nil
}

// is reports whether a content type is of a media type, whatever its parameters.
func is(kind, media string) bool {
	if kind == media {
		return true
	}
	got, _, err := mime.ParseMediaType(kind)
	return err == nil && got == media
}

func bodyError(err error) error {
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return Errorf(http.StatusRequestEntityTooLarge, "too_big", "the body is over %d bytes", tooBig.Limit)
	}
	return Errorf(http.StatusBadRequest, "invalid_request", "the body can not be read: %s", jsonFault(err))
}

// jsonFault says what is wrong with a body in the words of JSON. Names of Go
// types would tell its sender nothing.
func jsonFault(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := wrong.Field
		if where == "" {
			where = "it"
		}
		return fmt.Sprintf("%s is of the wrong type (%s)", where, wrong.Value)
	}
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// Values of headers are shared by all answers, and never changed.
var typeJSON, noStore = []string{"application/json"}, []string{"no-store"}

// JSON answers v. Nothing Cardea answers may be cached.
func JSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = typeJSON, noStore
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

// Fail answers err: an *Error as it is, anything else logged and hidden.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	shown, ok := errors.AsType[*Error](err)
	if !ok {
		log.Log(r.Context(), Level(r), "request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		shown = Errorf(http.StatusInternalServerError, "server_error", "something failed here, try again")
	}
	JSON(w, shown.Status, shown)
}

// Level is how loud a failure is logged: nothing is wrong here if whoever asked
// has left meanwhile.
func Level(r *http.Request) slog.Level {
	if r.Context().Err() != nil {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// A HandlerFunc answers a request or returns why it could not.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle turns f into a handler whose errors go through Fail.
func Handle(log *slog.Logger, f HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			Fail(w, r, log, err)
		}
	})
}

// secure are the headers of Secure. Nothing is loaded from elsewhere and nothing
// runs that stands in a page: no scripts and no styles but from files of ours.
var secure = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY", // for browsers that do not know frame-ancestors
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	"Cache-Control":                "no-store",
}

// Secure gives every answer the headers that keep it to itself: no framing, no
// sniffing, no referrer, nothing loaded from elsewhere, no device of the
// browser's used, nothing kept. What may be kept says so itself.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range secure {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}
