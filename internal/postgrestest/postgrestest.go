// Package postgrestest runs a PostgreSQL server of a test's own, from Debian's
// package, on a folder that is thrown away. It does not flush to the disk: what
// it loses when the machine dies is nothing that anybody keeps.
//
// The server ends with the process that started it, in whatever way that ends.
package postgrestest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Server runs until Close, or until this process ends.
type Server struct {
	bin, dir string
	run      *exec.Cmd
	life     io.Closer // the server's keeper waits for the end of it
}

// ErrMissing: the server is not installed.
var ErrMissing = errors.New("PostgreSQL is not installed: make postgresql")

// keeper starts the server and waits until its standard input ends, which it
// does however the other side dies. Its standard error is the server's.
const keeper = `"$1"/postgres -D "$2"/data -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
	-c max_connections=250 -c shared_buffers=32MB -c autovacuum=on >/dev/null &
exec 2>/dev/null
read ignored
kill -QUIT $!
wait $!
rm -rf "$2"`

// Start makes a new server and waits until it takes connections.
func Start() (*Server, error) {
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(bins) == 0 {
		return nil, ErrMissing
	}
	who, err := account()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, fmt.Errorf("folder of the database server: %w", err)
	}
	s := &Server{bin: slices.Max(bins), dir: dir}
	if err := s.start(who); err != nil {
		return nil, errors.Join(fmt.Errorf("database server: %w", err), os.RemoveAll(dir))
	}
	return s, nil
}

// account is whom the server runs as: it refuses to be root.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}

func (s *Server) start(who *syscall.Credential) error {
	if who != nil {
		if err := os.Chown(s.dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	as := &syscall.SysProcAttr{Credential: who, Setpgid: true}
	init := exec.Command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	init.SysProcAttr, init.Dir = as, s.dir
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	s.run = exec.Command("sh", "-c", keeper, "sh", s.bin, s.dir)
	s.run.SysProcAttr, s.run.Dir = as, s.dir
	life, err := s.run.StdinPipe()
	if err != nil {
		return err
	}
	said, err := s.run.StderrPipe()
	if err != nil {
		return err
	}
	s.life = life
	if err := s.run.Start(); err != nil {
		return err
	}
	return listen(said)
}

// listen waits until the server says that it is ready, and lets it talk on.
func listen(said io.Reader) error {
	lines := bufio.NewScanner(said)
	var last string
	for lines.Scan() {
		if last = lines.Text(); strings.Contains(last, "ready to accept connections") {
			go io.Copy(io.Discard, said)
			return nil
		}
	}
	return fmt.Errorf("it ended: %s", last)
}

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	return errors.Join(s.life.Close(), s.run.Wait())
}

// URL is the address of a database.
func (s *Server) URL(name string) string {
	return fmt.Sprintf("postgres://postgres@/%s?host=%s", name, s.dir)
}

// Create makes an empty database. Its name is a plain SQL name.
func (s *Server) Create(ctx context.Context, name string) error {
	_, err := s.SQL(ctx, "postgres", `CREATE DATABASE `+name+` TEMPLATE template0`)
	return err
}

// Drop removes a database and ends whatever is connected to it.
func (s *Server) Drop(ctx context.Context, name string) error {
	_, err := s.SQL(ctx, "postgres", `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
	return err
}

// SQL runs statements in a database and returns the values, a row to a line.
func (s *Server) SQL(ctx context.Context, name, text string) (string, error) {
	return s.tool(ctx, "psql", "-d", name, "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", text)
}

// Dump writes a database to a file, as an operator does for a backup.
func (s *Server) Dump(ctx context.Context, name, file string) error {
	_, err := s.tool(ctx, "pg_dump", "-d", name, "-Fc", "-f", file)
	return err
}

// Text writes all that a database has to a file, as SQL.
func (s *Server) Text(ctx context.Context, name, file string) error {
	_, err := s.tool(ctx, "pg_dump", "-d", name, "-f", file)
	return err
}

// Load puts what was dumped in the place of a database, which nobody may use.
func (s *Server) Load(ctx context.Context, name, file string) error {
	if err := errors.Join(s.Drop(ctx, name), s.Create(ctx, name)); err != nil {
		return err
	}
	_, err := s.tool(ctx, "pg_restore", "-d", name, "--exit-on-error", file)
	return err
}

func (s *Server) tool(ctx context.Context, program string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(s.bin, program), append([]string{"-h", s.dir, "-U", "postgres"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
