package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/torture/house"
)

// A tally is what came of the cases.
type tally struct {
	Cases     int `json:"cases"`
	Wrong     int `json:"wrong"`
	Panics    int `json:"panics"`
	Recovered int `json:"recovered"`
	Asked     int `json:"asked"` // the owner was, what the device may do again
}

func (t tally) String() string {
	recovered := fmt.Sprint(t.Recovered)
	if t.Recovered == t.Cases {
		recovered = "all"
	}
	return fmt.Sprintf("cases=%d wrong-answers=%d panics=%d recovered=%s asked-the-owner=%d", t.Cases, t.Wrong, t.Panics, recovered, t.Asked)
}

// err is what makes the run a failure.
func (t tally) err() error {
	if t.Cases == 0 || t.Wrong+t.Panics > 0 || t.Recovered < t.Cases {
		return errors.New("a damaged disk was not survived")
	}
	return nil
}

func (t *tally) add(o tally) {
	t.Cases, t.Wrong, t.Panics = t.Cases+o.Cases, t.Wrong+o.Wrong, t.Panics+o.Panics
	t.Recovered, t.Asked = t.Recovered+o.Recovered, t.Asked+o.Asked
}

// send tells the process that shares the cases out.
func (t tally) send(out io.Writer) error { return json.NewEncoder(out).Encode(t) }

// A press hurts files and watches what becomes of it.
type press struct {
	*house.House
	tally
	out io.Writer
}

// play puts everything back, inflicts a fault, and watches.
func (p *press) play(ctx context.Context, f fault) error {
	err := errors.Join(p.PutBack(f.kept), os.Truncate(filepath.Join(p.Agent.Dir, "agent.log"), 0))
	for _, i := range f.hurt {
		if err == nil {
			err = i.inflict(p.State())
		}
	}
	if err != nil {
		return err
	}
	p.Cases++
	s := sight{House: p.House}
	recovered := s.watch(ctx)
	if s.wrong {
		p.Wrong++
		fmt.Fprintln(p.out, "wrong answer:", f.name)
	}
	if recovered != nil {
		fmt.Fprintf(p.out, "not recovered: %s: %v\n", f.name, recovered)
	} else {
		p.Recovered++
	}
	if s.asked {
		p.Asked++
		fmt.Fprintln(p.out, "the owner was asked:", f.name)
	}
	if p.Panicked() {
		p.Panics++
		fmt.Fprintln(p.out, "panic:", f.name)
	}
	p.Agent.Process.Kill()
	p.Cloud.Kill()
	return ctx.Err()
}

// A sight is what is seen of one case.
type sight struct {
	*house.House
	wrong bool // what was stopped was allowed
	asked bool // the owner was, what the device may do again
}

func (s *sight) look(ctx context.Context) {
	a, err := s.Agent.Decide(ctx, house.Withdrawn, cardea.UseCollect)
	s.wrong = s.wrong || err == nil && a.Allowed()
}

// watch starts the agent, again if it denies everything, and then the cloud. The
// answer counts at every look.
func (s *sight) watch(ctx context.Context) error {
	if err := s.Agent.Start(ctx); err != nil {
		return err
	}
	s.look(ctx)
	if st, err := s.Agent.Status(ctx); err != nil || st.Bar != "" {
		s.Agent.Process.Kill()
		if err := s.Agent.Start(ctx); err != nil {
			return err
		}
		s.look(ctx)
	}
	if err := s.StartCloud(ctx); err != nil {
		return err
	}
	err := house.Until(ctx, func() error {
		s.look(ctx)
		if err := s.owner(ctx); err != nil {
			return err
		}
		if err := s.InStep(ctx); err != nil {
			return err
		}
		return s.Answers(ctx, house.Kept, cardea.Allow)
	})
	s.look(ctx)
	return err
}

// owner answers when they are asked what the device may do again.
func (s *sight) owner(ctx context.Context) error {
	st, err := s.Agent.Status(ctx)
	if err != nil || st.Bar != cardea.ReasonForked || s.asked {
		return err
	}
	s.asked, err = s.Confirm(ctx)
	return err
}
