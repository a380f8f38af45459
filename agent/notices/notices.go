// Package notices has the texts of purposes for a device with a screen of its
// own, so that what is shown can be proven.
//
// A text comes from the cloud of the link, with all that its hash is made of, and
// the hash is computed here: what is shown and what a yes names are the same. A
// version of a purpose never changes, so one that was fetched is kept while the
// agent runs, eight of them at most. Nothing of the person is in a request: it
// names a purpose that everybody on such a device is asked, and has no token.
package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

var (
	// ErrOffline is returned when the cloud gives no answer.
	ErrOffline = errors.New("the notice can not be fetched now")
	// ErrNone is returned when the cloud has no such notice.
	ErrNone = errors.New("the cloud has no such notice")
)

const (
	maxBytes = 64 << 10
	maxKept  = 8
	timeout  = 10 * time.Second
)

// A Source fetches notices. It is safe for concurrent use.
type Source struct {
	http *http.Client

	mu   sync.Mutex
	kept map[string]*cardea.Purpose // by where it was fetched
}

// New makes a source that fetches with a client.
func New(web *http.Client) *Source { return &Source{http: web, kept: map[string]*cardea.Purpose{}} }

// Notice is what the owner is shown of a version of a key's purpose, in the
// language or in the nearest there is. It may wait for the issuer.
func (s *Source) Notice(ctx context.Context, issuer string, key cardea.Key, version uint32, lang string) (client.Notice, error) {
	url := strings.TrimRight(issuer, "/") + "/v1/notices/" + string(key.Purpose()) + "/" + strconv.FormatUint(uint64(version), 10)
	s.mu.Lock()
	p := s.kept[url]
	s.mu.Unlock()
	if p == nil {
		var err error
		if p, err = s.fetch(ctx, url); err != nil {
			return client.Notice{}, err
		}
	}
	// It may be anybody's answer: what is asked must be what is agreed to.
	if p.ID != key.Purpose() || p.Version != version || len(p.Texts) == 0 || !slices.Contains(p.Facets, key.Facet()) {
		return client.Notice{}, ErrNone
	}
	s.keep(url, p)
	return write(p, key, nearest(p.Texts, lang)), nil
}

func (s *Source) keep(url string, p *cardea.Purpose) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == maxKept {
		clear(s.kept)
	}
	s.kept[url] = p
}

func (s *Source) fetch(ctx context.Context, url string) (*cardea.Purpose, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOffline, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxBytes))
	switch {
	case err != nil || res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests:
		return nil, ErrOffline
	case res.StatusCode != http.StatusOK:
		return nil, ErrNone
	}
	p := new(cardea.Purpose)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return p, nil
}

// nearest is the language itself, the one it is a kind of ("de" of "de-CH"),
// English, or the first there is.
func nearest(texts map[string]cardea.Text, lang string) (first string) {
	base, _, _ := strings.Cut(lang, "-")
	for _, tag := range []string{lang, base, "en"} {
		if _, ok := texts[tag]; ok {
			return tag
		}
	}
	for tag := range texts {
		if first == "" || tag < first {
			first = tag
		}
	}
	return first
}

func write(p *cardea.Purpose, key cardea.Key, lang string) client.Notice {
	t := p.Texts[lang]
	said := p.Said(t)
	return client.Notice{
		Key: key, Version: p.Version, Language: lang, Notice: p.Notice(lang), Class: p.Class,
		Title: t.Title, Question: t.Facets[key.Facet()], What: t.What, Why: t.Why, Benefit: t.Benefit, Refusal: t.Refusal, Changed: t.Changed,
		Data: said.Data, Recipients: said.Recipients, Retention: said.Retention, Countries: p.Countries, ValidDays: int(p.Validity / (24 * time.Hour)),
	}
}
