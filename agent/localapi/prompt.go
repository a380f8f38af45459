package localapi

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing/qr"
	"github.com/cardea-id/cardea/store/devicedb"
)

// When a question may be asked.
const (
	useTime  = 5 * time.Minute // a feature was used a moment ago
	restTime = 24 * time.Hour  // a question that was shown and not answered is left alone
)

// prompts remembers which features were used and which questions were shown. It
// is forgotten with the agent: at worst somebody is asked again a day too early.
type prompts struct {
	mu    sync.Mutex
	used  map[question]time.Time // by the program that used it
	shown map[question]time.Time // by no program
}

// A question is a key of one person.
type question struct {
	program string
	link    cardea.LinkID
	key     cardea.Key
}

func newPrompts() *prompts {
	return &prompts{used: map[question]time.Time{}, shown: map[question]time.Time{}}
}

// use notes that a program was told that nobody has decided.
func (p *prompts) use(q question, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	forget(p.used, now, useTime)
	p.used[q] = now
}

// ask reports whether a question may be shown now, and notes that it was. One
// that has ended by itself needs no use.
func (p *prompts) ask(q question, again bool, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	forget(p.used, now, useTime)
	forget(p.shown, now, restTime)
	if _, ok := p.used[q]; !ok && !again {
		return web.Errorf(http.StatusConflict, "not_used",
			"nobody has used the feature: when somebody does, ask POST /v1/decide for this one key, and for the prompt within 5 minutes")
	}
	q.program = ""
	if _, ok := p.shown[q]; ok {
		return web.Errorf(http.StatusConflict, "asked_lately", "the question was shown within a day and not answered: leave it, its owner finds it on their pages")
	}
	p.shown[q] = now
	return nil
}

func forget(list map[question]time.Time, now time.Time, after time.Duration) {
	for q, at := range list {
		if now.Sub(at) >= after {
			delete(list, q)
		}
	}
}

// used notes the use of a feature: a program that asks for one key has come to
// where it needs it. Who asks for several looks around.
func (s *Server) used(c *call, link cardea.LinkID, q cardea.Query, a cardea.Answer) {
	if a.Reason == cardea.ReasonNotAsked {
		s.prompts.use(question{c.caller.program.Name, link, q.Key}, time.Now())
	}
}

// prompt says whether the owner may be asked, and what. A no is final here: the
// device knows neither when it was said nor what year it is, and its owner can
// open the question at any time.
func (s *Server) prompt(c *call) error {
	var req client.PromptRequest
	if err := c.read(&req); err != nil {
		return err
	}
	link, i, err := s.asked(c, req.Key, req.Link)
	if err != nil {
		return err
	}
	a := s.Gate.DecideFor(link.ID, cardea.Query{Key: req.Key, Use: cardea.UseCollect})
	again := a.Reason == cardea.ReasonNotice || a.Reason == cardea.ReasonExpired
	if pending := link.Log.Own()[req.Key] != ""; pending || !again && a.Reason != cardea.ReasonNotAsked {
		return web.Errorf(http.StatusConflict, "no_question", "there is nothing to ask now (%s): GET /v1/consents tells how it stands", a.Reason)
	}
	if err := s.prompts.ask(question{c.caller.program.Name, link.ID, req.Key}, again, time.Now()); err != nil {
		return err
	}
	consent := &link.Body.Consents[i]
	return c.answer(client.Prompt{
		Key: req.Key, Version: consent.Version, Class: consent.Class, Reason: a.Reason, Link: link.ID, Head: link.Head,
		Spoken: consent.Class == cardea.ClassC || consent.Class == cardea.ClassL, URI: questionURI(link.Issuer, req.Key),
	})
}

// asked finds what is asked of whoever uses the device, and where it stands.
func (s *Server) asked(c *call, key cardea.Key, shown cardea.LinkID) (link devicedb.Link, i int, err error) {
	if _, err = cardea.ParseKey(string(key)); err == nil {
		err = c.permit(key.Purpose())
	}
	if err == nil {
		link, err = s.present(shown)
	}
	if err != nil {
		return link, 0, err
	}
	i = slices.IndexFunc(link.Body.Consents, func(c cardea.Consent) bool { return c.Key == key })
	if i < 0 {
		err = web.Errorf(http.StatusNotFound, "unknown_key", "this device is not asked %q: GET /v1/consents lists what is", key)
	}
	return link, i, err
}

// questionURI is where the question stands on its owner's pages.
func questionURI(issuer string, key cardea.Key) string {
	return strings.TrimRight(issuer, "/") + "/consents#c-" + strings.ReplaceAll(string(key), "/", "-")
}

// promptQR draws the way there.
func (s *Server) promptQR(c *call) error {
	q, err := c.query("key", "px")
	if err != nil {
		return err
	}
	key := cardea.Key(q.Get("key"))
	return c.draw(q, defaultPixels, "image/png", func() (string, error) {
		link, _, err := s.asked(c, key, cardea.LinkID{})
		return questionURI(link.Issuer, key), err
	}, qr.PNG)
}

// notice is what is to be shown.
func (s *Server) notice(c *call) error {
	q, err := c.query("key", "lang")
	if err != nil {
		return err
	}
	key := cardea.Key(q.Get("key"))
	link, i, err := s.asked(c, key, cardea.LinkID{})
	if err != nil {
		return err
	}
	done, err := c.remote()
	if err != nil {
		return err
	}
	defer done()
	if s.Noticer == nil {
		return errNoNotice
	}
	n, err := s.Noticer.Notice(c.r.Context(), link.Issuer, key, link.Body.Consents[i].Version, q.Get("lang"))
	if err != nil {
		return unreachable(err)
	}
	return c.answer(n)
}

var errNoNotice = web.Errorf(http.StatusNotFound, "not_found", "this agent has no notices: the owner finds the question on their pages")
