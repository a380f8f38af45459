package desk

import (
	"net/url"
	"strings"
)

// Home is where an owner goes who was on the way to nowhere.
const Home = "/consents"

// maxReturnPath bounds a return path, which comes from outside.
const maxReturnPath = 512

// returnPages are the pages one can be on the way to. A return path is rebuilt
// from this list, so that no text from outside becomes an address.
var returnPages = map[string][]string{
	"/pair":             {"code"},
	"/pair/label":       {"label"},
	"/account":          nil,
	"/account/confirm":  nil,
	"/account/passkey":  {"next"},
	"/account/password": nil,
	"/history":          nil,
	"/consents":         nil,
	"/devices":          nil,
	"/devices/unlink":   {"link", "grant"},
	"/preferences":      nil,
	"/communication":    nil,
	"/devices/missed":   {"link"},
	"/leaving":          nil,
	"/leaving/copy":     nil,
	"/leaving/erase":    nil,
	"/erased":           {"proof"},
}

// ReturnPath is where to go after signing in: the page asked for if it is one of
// ours, with the parameters it knows, else [Home]. Its result always is a path on
// this host.
func ReturnPath(next string) string {
	if len(next) > maxReturnPath || !strings.HasPrefix(next, "/") {
		return Home
	}
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" {
		return Home
	}
	params, ok := returnPages[u.Path]
	if !ok {
		return Home
	}
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return u.Path
	}
	kept := url.Values{}
	for _, name := range params {
		if v := given.Get(name); v != "" {
			kept.Set(name, v)
		}
	}
	if len(kept) == 0 {
		return u.Path
	}
	return u.Path + "?" + kept.Encode()
}

// WithNext is a page that leads on to next.
func WithNext(page, next string) string {
	if next = ReturnPath(next); next == Home {
		return page
	}
	return page + "?" + url.Values{"next": {next}}.Encode()
}
