package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/page"
)

// A machine is one the C client is built for. Run is how its programs start
// here: by themselves, or under user emulation.
type machine struct {
	name, target string
	run          []string
}

var machines = []machine{
	{"amd64", "x86_64-linux-gnu", nil},
	{"arm64", "aarch64-linux-gnu", []string{"qemu-aarch64-static"}},
	{"arm", "arm-linux-gnueabihf", []string{"qemu-arm-static"}},
	{"mipsle", "mipsel-linux-gnu", []string{"qemu-mipsel-static"}},
	{"riscv64", "riscv64-linux-gnu", []string{"qemu-riscv64-static"}},
}

// everywhere builds the client with two compilers for each machine, and has it
// read one page that this program wrote: all must say the same.
func everywhere(dir, client string) error {
	file, want, err := sample(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range machines {
		for _, compiler := range []string{"gcc", "clang"} {
			if err := errors.Join(m.check(dir, client, compiler, file, want), m.examples(dir, client, compiler)); err != nil {
				failed = append(failed, fmt.Errorf("%s by %s: %w", m.name, compiler, err))
				continue
			}
			fmt.Printf("page: %-8s by %-5s says the same\n", m.name, compiler)
		}
	}
	return errors.Join(failed...)
}

func (m machine) check(dir, client, compiler, file string, want []byte) error {
	got, err := m.read(dir, client, compiler, "ask", file, questions())
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("says\n%swant\n%s", got, want)
	}
	if err != nil {
		return err
	}
	_, err = m.read(dir, client, compiler, "clock", file, "", string(lasting), strconv.Itoa(sampleBoot), strconv.Itoa(sampleBoot+sampleStaleness))
	return err
}

// read builds a program of agent/page/testdata, and has it read a page.
func (m machine) read(dir, client, compiler, name, file, questions string, args ...string) (said []byte, err error) {
	program, err := m.build(dir, client, compiler, filepath.Join("agent/page/testdata", name+".c"))
	if err != nil {
		return nil, err
	}
	memory, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	cmd := m.start(program, args...)
	cmd.ExtraFiles = []*os.File{memory}
	cmd.Stdin, cmd.Stderr = strings.NewReader(questions), os.Stderr
	if said, err = cmd.Output(); err != nil {
		err = fmt.Errorf("run: %w: %s", err, said)
	}
	return said, err
}

// build builds a program with the client.
func (m machine) build(dir, client, compiler, source string) (program string, err error) {
	program = filepath.Join(dir, m.name+"-"+compiler+"-"+strings.TrimSuffix(filepath.Base(source), ".c"))
	build := append(m.compiler(compiler), "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-I"+client, "-o", program, source, filepath.Join(client, "cardea.c"))
	if out, err := exec.Command(build[0], build[1:]...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return program, nil
}

func (m machine) start(program string, args ...string) *exec.Cmd {
	run := append(append(append([]string(nil), m.run...), program), args...)
	return exec.Command(run[0], run[1:]...)
}

// examples has the examples do what they may without an agent.
func (m machine) examples(dir, client, compiler string) error {
	for name, want := range map[string]string{"speaker": "plays x\n", "car": "is at x\nforgets 0: no_agent\n"} {
		program, err := m.build(dir, client, compiler, filepath.Join(client, "examples", name+".c"))
		if err != nil {
			return err
		}
		cmd := m.start(program, filepath.Join(dir, "nobody"))
		cmd.Stdin, cmd.Stderr = strings.NewReader("x\n"), os.Stderr
		if got, err := cmd.Output(); err != nil || string(got) != want {
			return fmt.Errorf("%s says %q, %v", name, got, err)
		}
	}
	return nil
}

func (m machine) compiler(name string) []string {
	if name == "clang" {
		return []string{"clang", "--target=" + m.target}
	}
	return []string{m.target + "-gcc"}
}

// sampleBoot is the time at which the sample is written and read, and how long a yes
// in it lasts, in seconds.
const (
	sampleBoot      = 1000
	sampleStaleness = 60
)

// lasting is a key of the sample with such a yes.
const lasting = cardea.Key("p0a/use")

func atSampleBoot() time.Duration { return sampleBoot * time.Second }

// written is what a page of a state has in it.
func written(s gate.State) ([]byte, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pages := page.NewPages()
	go pages.Run(ctx, atSampleBoot)
	g := gate.New(gate.Config{Boot: atSampleBoot})
	link := cardea.NewID[cardea.LinkID]()
	g.Set(link, s)
	g.Activate(link)
	g.Renew(link, gate.Anchor{Time: epoch, At: atSampleBoot(), Lease: epoch.Add(time.Hour)})
	file, err := ask(pages, g)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	memory := make([]byte, page.Size)
	_, err = file.ReadAt(memory, 0)
	return memory, err
}

// sample is a page with all sorts of answers, as a file, and what it says.
func sample(dir string) (file string, want []byte, err error) {
	var consents []cardea.Consent
	for i, reason := range cardea.Reasons {
		for _, class := range []cardea.Class{cardea.ClassA, cardea.ClassC, cardea.ClassL} {
			key := cardea.Key(fmt.Sprintf("p%d%s/use", i, strings.ToLower(string(class))))
			consents = append(consents, cardea.Consent{Key: key, Version: 1, Reason: reason, Class: class, Staleness: sampleStaleness})
		}
	}
	memory, err := written(gate.State{Revision: 1, Consents: consents})
	if err != nil {
		return "", nil, err
	}
	var said bytes.Buffer
	for _, q := range queries() {
		a := page.Read(memory, q, atSampleBoot())
		asked := 0
		if a.Ask {
			asked = 1
		}
		fmt.Fprintf(&said, "%s %s %d\n", a.Verdict, a.Reason, asked)
	}
	file = filepath.Join(dir, "page")
	return file, said.Bytes(), os.WriteFile(file, memory, 0o600)
}

var uses = []cardea.Use{cardea.UseCollect, cardea.UseLocal, cardea.UseEgress}

func queries() (all []cardea.Query) {
	for i := range len(cardea.Reasons) + 1 {
		for _, class := range "acl" {
			for _, use := range uses {
				all = append(all, cardea.Query{Key: cardea.Key(fmt.Sprintf("p%d%c/use", i, class)), Use: use})
			}
		}
	}
	return all
}

func questions() string {
	var b strings.Builder
	for i, q := range queries() {
		fmt.Fprintf(&b, "%s %d %d\n", q.Key, i%len(uses), sampleBoot)
	}
	return b.String()
}
