package localapi

import (
	"bytes"
	"io"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// maxQuestion is longer than a single question.
const maxQuestion = 256

// readQuestion reads a body as read does. One that is a single question in its
// usual form is not put through the decoder, which would take longer than all the
// rest: programs ask often. The time for it is the request's own, because the
// answer waits for nothing.
func (c *call) readQuestion(req *client.DecideRequest) error {
	n := c.r.ContentLength
	if n <= 0 || n > maxQuestion || c.r.Header.Get("Content-Type") != "application/json" {
		return c.read(req)
	}
	body := make([]byte, n)
	got, err := io.ReadFull(c.r.Body, body)
	if err == nil {
		if q, ok := plain(body); ok {
			req.Key, req.Use = q.Key, q.Use
			return nil
		}
	}
	c.r.Body = rest{io.MultiReader(bytes.NewReader(body[:got]), c.r.Body), c.r.Body}
	return c.read(req)
}

// A rest is a body whose beginning was read already.
type rest struct {
	io.Reader
	io.Closer
}

// plain takes {"key":"a/use","use":"collect"}, or without the use, with no
// character in a word that has another form in JSON.
func plain(body []byte) (q cardea.Query, ok bool) {
	text, ok := bytes.CutPrefix(bytes.TrimSuffix(body, []byte("\n")), []byte(`{"key":"`))
	if !ok {
		return q, false
	}
	key, text, _ := bytes.Cut(text, []byte(`"`))
	use := []byte(nil)
	if text, ok = bytes.CutPrefix(text, []byte(`,"use":"`)); ok {
		use, text, _ = bytes.Cut(text, []byte(`"`))
	}
	if string(text) != "}" || !simple(key) || !simple(use) {
		return q, false
	}
	return cardea.Query{Key: cardea.Key(key), Use: cardea.Use(use)}, true
}

func simple(word []byte) bool {
	for _, b := range word {
		if b < ' ' || b > '~' || b == '\\' {
			return false
		}
	}
	return true
}
