package localapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/qr"
	"github.com/cardea-id/cardea/store/devicedb"
)

// startPair begins a pairing. One that waits is shown again, so that two
// programs, or one that lost its answer, get the same code. A pairing for a new
// owner empties the device, which takes another entitlement.
func (s *Server) startPair(c *call) error {
	var req client.PairRequest
	if err := c.read(&req); err != nil {
		return err
	}
	start := s.Pairer.Start
	switch req.For {
	case "", client.ForAdd:
	case client.ForNewOwner:
		erase := c.route
		erase.need = programs.MayAdmin
		if err := s.permit(c.r.Context(), c.caller, erase); err != nil {
			return err
		}
		if s.Resetter == nil {
			return errNoReset
		}
		start = s.Resetter.NewOwner
		c.part()
	default:
		return invalid("for %.20q: \"add\" a person, or \"new_owner\", which erases the others", req.For)
	}
	done, err := c.remote()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(c.r.Context(), serverTimeout)
	defer cancel()
	p, err := start(ctx)
	if err != nil {
		return unreachable(err)
	}
	return c.answer(p)
}

func (s *Server) showPair(c *call) error { return c.answer(s.pairing()) }

// pairing is how the pairing stands. A link it led to may be gone by now.
func (s *Server) pairing() client.Pairing {
	p := s.Pairer.Show()
	if p.State == client.PairLinked {
		if _, err := s.DB.Link(p.Link); errors.Is(err, devicedb.ErrNotFound) {
			return client.Pairing{State: client.PairNone}
		}
	}
	return p
}

func (s *Server) cancelPair(c *call) error {
	if err := s.Pairer.Cancel(); err != nil {
		return err
	}
	return c.answer(s.pairing())
}

// confirmPair is the button of a device without a screen. It says who stands at
// the device, so a program must send it for a finger on the button and nothing
// else.
func (s *Server) confirmPair(c *call) error {
	var req client.PairConfirmation
	if err := c.read(&req); err != nil {
		return err
	}
	if req.Presses < 1 || req.Presses > maxPresses {
		return invalid("presses: how often the button was pressed, 1 to %d", maxPresses)
	}
	done, err := c.remote()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(c.r.Context(), serverTimeout)
	defer cancel()
	p, err := s.Pairer.Confirm(ctx, req.Presses)
	if errors.Is(err, session.ErrNothingToConfirm) {
		return web.Errorf(http.StatusConflict, "no_pairing", "%v", err)
	}
	if err != nil {
		return unreachable(err)
	}
	return c.answer(p)
}

// maxPresses is more than anybody is asked for.
const maxPresses = 99

// QR pictures are between these sizes, in pixels.
const (
	minPixels     = 64
	maxPixels     = 2048
	defaultPixels = 320
)

func (s *Server) qrPNG(c *call) error { return s.picture(c, defaultPixels, "image/png", qr.PNG) }

// qrSVG needs no size: whatever shows the drawing has one.
func (s *Server) qrSVG(c *call) error { return s.picture(c, 0, "image/svg+xml", qr.SVG) }

// A drawing puts an address into a code.
type drawing func(uri string, px int) ([]byte, error)

func (s *Server) picture(c *call, px int, media string, draw drawing) error {
	q, err := c.query("px")
	if err != nil {
		return err
	}
	return c.draw(q, px, media, s.codeURI, draw)
}

// draw answers a code, so many pixels a side as the query wants.
func (c *call) draw(q url.Values, px int, media string, find func() (uri string, err error), draw drawing) (err error) {
	if text := q.Get("px"); text != "" {
		if px, err = strconv.Atoi(text); err != nil || px < minPixels || px > maxPixels {
			return invalid("px: a number of pixels from %d to %d", minPixels, maxPixels)
		}
	}
	uri, err := find()
	if err != nil {
		return err
	}
	picture, err := draw(uri, px)
	if errors.Is(err, qr.ErrTooSmall) {
		return invalid("px: %v", err)
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", media)
	c.w.Write(picture) // the client is gone if this fails
	return nil
}

// spoken is the code that waits, for a voice.
func (s *Server) spoken(c *call) error {
	q, err := c.query("lang")
	if err != nil {
		return err
	}
	p, err := s.waiting()
	if err != nil {
		return err
	}
	lang := cmp.Or(q.Get("lang"), "en")
	letters, err := pairing.Speak(p.UserCode, lang)
	if err != nil {
		return invalid("lang: %v", err)
	}
	return c.answer(client.Spelling{Lang: lang, Text: strings.Join(letters, ", "), Letters: letters})
}

func (s *Server) qrText(c *call) error {
	q, err := c.query("dark")
	if err != nil {
		return err
	}
	dark := true
	if text := q.Get("dark"); text != "" {
		if dark, err = strconv.ParseBool(text); err != nil {
			return invalid("dark: true for a dark terminal, false for a light one")
		}
	}
	uri, err := s.codeURI()
	if err != nil {
		return err
	}
	text, err := qr.Terminal(uri, dark)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.Write([]byte(text))
	return nil
}

// codeURI is what the owner scans.
func (s *Server) codeURI() (string, error) {
	p, err := s.waiting()
	return p.Scan(), err
}

// waiting is the pairing that waits for its owner.
func (s *Server) waiting() (client.Pairing, error) {
	p := s.Pairer.Show()
	if p.State != client.PairPending {
		return p, web.Errorf(http.StatusConflict, "no_pairing", "no code is waiting: start one with POST /v1/pair")
	}
	return p, nil
}
