package programs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// A Registry knows the programs of the device. It does not change.
type Registry struct {
	programs []*Program // the most particular first, then by file name
	units    bool       // a rule asks for one
	dir      string
	faults   []error // of the files that were left out
}

// LoadRegistry reads every *.toml in dir, one program a file. The registry it
// returns is always usable: a file that is not is left out, so that one
// program's mistake does not silence the others, and the error lists each such
// file with its fault.
func LoadRegistry(dir string) (*Registry, error) {
	r := &Registry{dir: dir}
	paths, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil {
		return r, fmt.Errorf("programs: %w", err)
	}
	if err := trusted(dir); err != nil {
		r.faults = []error{err}
		return r, err
	}
	for _, path := range paths { // sorted by Glob
		if err := r.load(path); err != nil {
			r.faults = append(r.faults, err)
		}
	}
	return r, errors.Join(r.faults...)
}

func (r *Registry) load(path string) error {
	if err := trusted(path); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("programs: %w", err)
	}
	p, err := ParseProgram(string(text))
	if err == nil {
		err = p.resolve()
	}
	if err == nil {
		err = r.distinct(&p)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.file = path
	r.insert(&p)
	r.units = r.units || p.Unit != ""
	return nil
}

// insert puts a program behind those that are as particular. (A sort made for
// this type would be more than all of this file.)
func (r *Registry) insert(p *Program) {
	r.programs = append(r.programs, p)
	for i := len(r.programs) - 1; i > 0 && r.programs[i-1].rank() < p.rank(); i-- {
		r.programs[i-1], r.programs[i] = p, r.programs[i-1]
	}
}

// trusted refuses what anybody could write: a program could entitle itself.
func trusted(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("programs: %w: make it, with a file for each program that may ask", err)
	}
	if err != nil {
		return fmt.Errorf("programs: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%w: everybody may write %s: run chmod o-w on it", ErrProgram, path)
	}
	return nil
}

// resolve looks up the user and the group.
func (p *Program) resolve() (err error) {
	if p.User != "" {
		if p.uid, err = number(p.User, userID); err != nil {
			return fmt.Errorf("%w: user: %w", ErrProgram, err)
		}
	}
	if p.Group != "" {
		gid, err := GroupID(p.Group)
		if err != nil {
			return fmt.Errorf("%w: group: %w", ErrProgram, err)
		}
		p.gid = &gid
	}
	return nil
}

// number reads a numeric id or looks the name up.
func number(name string, lookup func(string) (string, error)) (*uint32, error) {
	text := name
	if _, err := strconv.ParseUint(name, 10, 32); err != nil {
		if text, err = lookup(name); err != nil {
			return nil, err
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return new(uint32(n)), err
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", fmt.Errorf("%w: add it to this machine, or name another", err)
	}
	return u.Uid, nil
}

// GroupID is the number of a group that is told by its name or its number.
func GroupID(group string) (uint32, error) {
	gid, err := number(group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", fmt.Errorf("%w: add it to this machine, or name another", err)
		}
		return g.Gid, nil
	})
	if err != nil {
		return 0, err
	}
	return *gid, nil
}

// distinct refuses a second file for the same name or the same callers: which
// of them counts would be chance.
func (r *Registry) distinct(p *Program) error {
	for _, o := range r.programs {
		same := p.Unit == o.Unit && equal(p.uid, o.uid) && equal(p.gid, o.gid)
		if p.Name == o.Name || same {
			return fmt.Errorf("%w: %s is already for program %q with the same name or callers", ErrProgram, o.file, o.Name)
		}
	}
	return nil
}

func equal(a, b *uint32) bool { return a == b || a != nil && b != nil && *a == *b }

// rank puts the more particular rule first: a unit is narrower than a user, a
// user narrower than a group.
func (p *Program) rank() int {
	rank := 0
	if p.Unit != "" {
		rank += 4
	}
	if p.uid != nil {
		rank += 2
	}
	if p.gid != nil {
		rank++
	}
	return rank
}

// Units reports whether a rule asks for the caller's systemd unit.
func (r *Registry) Units() bool { return r.units }

// Len is how many programs there are.
func (r *Registry) Len() int { return len(r.programs) }

// Faults are those of the files that were left out.
func (r *Registry) Faults() []error { return r.faults }

// Match finds the peer's program: of the rules that match, the most particular,
// and of equal ones the first by file name.
func (r *Registry) Match(peer Peer) (*Program, bool) {
	for _, p := range r.programs {
		if p.matches(peer) {
			return p, true
		}
	}
	return nil, false
}

func (p *Program) matches(peer Peer) bool {
	return (p.Unit == "" || p.Unit == peer.Unit) &&
		(p.uid == nil || *p.uid == peer.UID) &&
		(p.gid == nil || peer.inGroup(*p.gid))
}
