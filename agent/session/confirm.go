package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/pairing"
)

// ErrNothingToConfirm is returned when no owner's yes waits for the button.
var ErrNothingToConfirm = errors.New("nobody has said yes to this device: there is nothing to confirm")

// A press is the device's button, pressed so often.
type press struct {
	times int
	done  chan error // has room for one
}

// Confirm tells the server that the device's button was pressed so often, and
// waits for its word. A wrong number ends the pairing, and is no error.
func (s *Session) Confirm(ctx context.Context, times int) (client.Pairing, error) {
	a := s.running()
	if a == nil || s.Show().State != client.PairConfirm {
		return client.Pairing{}, ErrNothingToConfirm
	}
	p := press{times, make(chan error, 1)}
	select {
	case a.presses <- p:
	case <-a.done:
		return s.Show(), nil // it came to its own end meanwhile
	case <-ctx.Done():
		return client.Pairing{}, context.Cause(ctx)
	}
	select {
	case err := <-p.done:
		if err != nil {
			return client.Pairing{}, fmt.Errorf("confirm pairing: %w", err)
		}
	case <-a.done:
	case <-ctx.Done():
		return client.Pairing{}, context.Cause(ctx)
	}
	return s.Show(), nil
}

// confirm presses the button for every code that counts: the owner may have
// answered the one that was replaced. Codes nobody answered stay as they are.
func (w *waiting) confirm(p press) (ended bool) {
	var trouble error
	for _, c := range w.codes {
		t, err := w.s.cfg.Client.Confirm(w.ctx, c.pending.Authorization.DeviceCode, p.times)
		answer := word{c, t, err}
		switch _, refused := errors.AsType[*pairing.Error](err); {
		case err == nil, pairing.HasCode(err, pairing.AccessDenied):
			w.stop()
			w.s.settle(w.a, answer)
			p.done <- nil
			return true
		case !refused:
			trouble = fmt.Errorf("%w: %w", ErrOffline, err)
		case !pairing.HasCode(err, pairing.AuthorizationPending) && !pairing.HasCode(err, pairing.ExpiredToken):
			trouble = err
		}
	}
	p.done <- trouble
	return false
}

// asked shows that the owner said yes and the button is wanted.
func (s *Session) asked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.State == client.PairPending {
		p := s.state
		p.State, p.Problem = client.PairConfirm, ""
		s.setLocked(p)
	}
}
