package desk

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/internal/web"
)

// languageCookie keeps the language that somebody chose, for as long as they come
// back within a year. It says nothing of who they are.
const (
	languageCookie = "cardea_language"
	languageLife   = 365 * 24 * time.Hour
)

// language is the one to speak with who sent the request.
func (d *Desk) language(r *http.Request) *language.Language {
	chosen := ""
	if c, err := r.Cookie(d.CookieName(languageCookie)); err == nil {
		chosen = c.Value
	}
	return language.For(chosen, r.Header.Get("Accept-Language"))
}

func tongues(spoken *language.Language) []Tongue {
	var all []Tongue
	for _, l := range language.All() {
		all = append(all, Tongue{Tag: l.Tag(), Name: l.Name(), Spoken: l == spoken})
	}
	return all
}

// ChooseLanguage keeps a choice and leads back to the page it was made on. Unlike
// other forms its own carries no token: it is on every page, those for nobody in
// particular included, and a choice made for somebody else would show at once.
func (d *Desk) ChooseLanguage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
	l, ok := language.Of(r.PostFormValue("language"))
	if !ok {
		d.showProblem(w, Visit{Language: d.language(r)}, ErrNoPage)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: d.CookieName(languageCookie), Value: l.Tag(), Path: "/",
		MaxAge: int(languageLife / time.Second), Secure: d.HTTPS, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, here(r.PostFormValue("next")), http.StatusSeeOther)
}

// here is an address on this host, or else [Home]. It is built anew from its
// parts, so that no text from outside leads elsewhere.
func here(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > maxReturnPath || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n\t") {
		return Home
	}
	back := url.URL{Path: u.Path, RawQuery: u.Query().Encode()}
	return back.String()
}
