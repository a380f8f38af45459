package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func run(kills int, client, source string, cross bool) error {
	dir, err := os.MkdirTemp("", "cardea-page-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := step(dir, client, source); err != nil {
		return err
	}
	if cross {
		if err := everywhere(dir, client); err != nil {
			return err
		}
	}
	return killAll(kills)
}

// step has every instruction of some publishes looked at.
func step(dir, client, source string) error {
	program := filepath.Join(dir, "step")
	build := exec.Command("gcc", "-std=c99", "-O2", "-I"+client, "-o", program, filepath.Join(source, "step.c"), filepath.Join(client, "cardea.c"))
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build step.c: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, self, "-writer", "20")
	// Nothing but publishing runs on the thread that is followed.
	cmd.Env = append(os.Environ(), "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	fmt.Printf("page: after every instruction: %s\n", strings.TrimSpace(string(out)))
	if err != nil {
		return fmt.Errorf("stepping: %w", err)
	}
	return nil
}

// killAll kills writers one after the other and tells as it goes.
func killAll(kills int) error {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var t tally
	for t.kills < kills {
		if err := t.killed(r); err != nil {
			return err
		}
		if t.kills%500 == 0 {
			fmt.Fprintf(os.Stderr, "page: %d of %d kills\n", t.kills, kills)
		}
	}
	fmt.Printf("page: kills=%d alive-after-death=%d torn=%d seed=%d\n", t.kills, t.alive, t.torn, seed)
	if t.alive+t.torn > 0 {
		return errors.New("a page outlived its agent, or was torn")
	}
	return nil
}
