package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// questions are what the owner is asked, by the words on the page, and all that
// is allowed at first. presence may be 30 s old at most.
var questions = map[cardea.Key]string{
	"presence/use":                  "know when you are near",
	"recommendations/use":           "May we use what you play",
	"recommendations/third_party":   "pass what you play to the music service",
	"product_analytics/use":         "see how this device is used",
	"offers/use":                    "use what you own",
	"offers/marketing":              "send you these offers",
	"on_device_personalisation/use": "learn your habits",
}

// stoppable are the keys withdrawn while the power is cut.
var stoppable = []cardea.Key{"recommendations/use", "recommendations/third_party", "product_analytics/use", "offers/use", "offers/marketing"}

// away is how long the machine is suspended and paused: longer than presence
// may be old.
const away = 35 * time.Second

// noticed is how soon an agent must know that its machine was paused: it looks
// every 5 s.
const noticed = 8 * time.Second

// A house is a cloud on this machine and a device in the virtual one.
type house struct {
	*machine
	stage   *stage.Stage
	phone   *owner.Owner
	kernel  kernel
	dir     string
	out     io.Writer
	start   time.Time
	stopped map[cardea.Key]bool // acknowledged, and not allowed again since
	limits  []string            // what could not be shown here

	acknowledged int // withdrawals
}

// play goes through everything and returns at the first wrong answer.
func play(ctx context.Context, k kernel, bin, dir string, cuts int, out io.Writer) (err error) {
	h := &house{kernel: k, dir: dir, out: out, start: time.Now(), stopped: map[cardea.Key]bool{}}
	if err := h.build(ctx, bin); err != nil {
		return err
	}
	h.phone = owner.New(h.stage.Transport())
	defer func() {
		if h.machine != nil {
			h.kill()
		}
		err = errors.Join(err, h.stage.Close())
	}()
	for _, step := range []func(context.Context) error{h.first, h.pair, h.wallClock, h.sleep, h.hold} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, h.console())
		}
	}
	for i := range cuts {
		if err := h.cut(ctx, i); err != nil {
			return fmt.Errorf("power cut %d: %w\n%s", i+1, err, h.console())
		}
	}
	for _, l := range h.limits {
		fmt.Fprintln(out, "  not shown here:", l)
	}
	fmt.Fprintf(out, "\n  vm: boots=%d power-cuts=%d acknowledged=%d lost=0 wrong-answers=0\n", boots, cuts, h.acknowledged)
	return nil
}

// say prints one line of what happened.
func (h *house) say(what, format string, args ...any) {
	fmt.Fprintf(h.out, "  %6.1f s  %-22s %s\n", time.Since(h.start).Seconds(), what, fmt.Sprintf(format, args...))
}

// build starts the cloud and makes the machine's first file system and its disk.
func (h *house) build(ctx context.Context, bin string) error {
	module, err := stage.Module()
	if err != nil {
		return err
	}
	h.stage, err = stage.Start(ctx, stage.Config{Bin: bin, Dir: h.dir, Catalogue: filepath.Join(module, "testdata/catalogue.yaml"), TLS: true})
	if err != nil {
		return err
	}
	files, err := h.files(bin)
	if err != nil {
		return err
	}
	packed, err := initramfs(h.kernel, files)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(h.dir, "initramfs"), packed, 0o600), makeDisk(filepath.Join(h.dir, "disk")))
}

const agentConfig = `issuer = %q
power_up_rest = "1ns"
ca_file = "/etc/ca.pem"
state_dir = "/disk/cardea"
run_dir = "/run/cardea"
apps_dir = "/etc/apps.d"
device_kind = "speaker"
device_model = "Model One"
device_serial = "1970"
`

const programConfig = `name = "host"
user = "0"
entitlements = ["pair", "decide", "token", "prefs", "consent.read", "consent.write", "events", "admin"]
purposes = ["*"]
audiences = ["*"]
preferences = ["*"]
`

// files are the machine's own.
func (h *house) files(bin string) (map[string]file, error) {
	plan, err := json.Marshal(plan{Forward: []string{h.stage.Listen, h.stage.Broker()}})
	if err != nil {
		return nil, err
	}
	init, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := map[string]file{
		"etc/vm.json":          {0o600, plan},
		"etc/ca.pem":           {0o644, h.stage.Authority.PEM()},
		"etc/agent.toml":       {0o600, fmt.Appendf(nil, agentConfig, h.stage.URL)},
		"etc/apps.d/host.toml": {0o600, []byte(programConfig)},
		"etc/passwd":           {0o644, []byte("root:x:0:0::/:/\n")},
		"etc/group":            {0o644, []byte("root:x:0:\n")},
	}
	for name, path := range map[string]string{"init": init, "cardea-agent": filepath.Join(bin, "cardea-agent")} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%w (build the programs with: make build)", err)
		}
		files[name] = file{0o755, text}
	}
	return files, nil
}

// power switches a machine on.
func (h *house) power(ctx context.Context, cable bool) error {
	began := time.Now()
	m, err := boot(ctx, h.kernel, h.dir, cable)
	if err != nil {
		return err
	}
	h.machine = m
	r, err := m.clocks(ctx)
	if err != nil {
		return err
	}
	if r.Wall.Year() != 1970 {
		return fmt.Errorf("the machine booted in %d", r.Wall.Year())
	}
	h.say("booted", "Linux %s, wall clock %s, the agent answers after %.1f s",
		h.kernel.version, r.Wall.UTC().Format("2006-01-02 15:04:05"), time.Since(began).Seconds())
	return nil
}

// expect asks, prints, and compares. An empty reason is any.
func (h *house) expect(ctx context.Context, key cardea.Key, want cardea.Verdict, reason cardea.Reason) error {
	a, err := h.Decide(ctx, key, cardea.UseCollect)
	if err != nil {
		return err
	}
	h.say("decided", "%-30s %s (%s)", key, a.Verdict, a.Reason)
	if a.Verdict != want || reason != "" && a.Reason != reason {
		return fmt.Errorf("wrong answer: %s is %s (%s), want %s (%s)", key, a.Verdict, a.Reason, want, reason)
	}
	return nil
}

// becomes waits for an answer.
func (h *house) becomes(ctx context.Context, key cardea.Key, want cardea.Verdict) error {
	return h.until(ctx, fmt.Sprintf("%s is %s", key, want), func() error {
		a, err := h.Decide(ctx, key, cardea.UseCollect)
		if err == nil && a.Verdict != want {
			err = fmt.Errorf("it is %s (%s)", a.Verdict, a.Reason)
		}
		return err
	})
}

// first is a new device that knows nobody, without a network.
func (h *house) first(ctx context.Context) error {
	if err := h.power(ctx, false); err != nil {
		return err
	}
	return h.expect(ctx, "recommendations/use", cardea.Deny, cardea.ReasonGuest)
}

// pair links the device and allows everything.
func (h *house) pair(ctx context.Context) error {
	if err := h.cable(true); err != nil {
		return err
	}
	h.say("network on", "")
	var shown client.Pairing
	err := h.until(ctx, "a code is shown", func() (err error) {
		shown, err = h.Pair(ctx)
		return err
	})
	if err != nil {
		return err
	}
	h.say("shown", "%s", shown.UserCode)
	if err := h.register(ctx); err != nil {
		return err
	}
	if err := errors.Join(h.phone.Open(ctx, shown.VerificationURIComplete), h.phone.Press(ctx, "Approve", "")); err != nil {
		return err
	}
	err = h.until(ctx, "the device is linked", func() error {
		p, err := h.Pairing(ctx)
		if err == nil && p.State != client.PairLinked {
			err = fmt.Errorf("pairing is %s: %s", p.State, p.Problem)
		}
		return err
	})
	if err != nil {
		return err
	}
	h.say("linked", "over TLS, with a clock that says 1970")
	return h.allow(ctx, keys()...)
}

// keys are those of all questions, in order.
func keys() []cardea.Key { return slices.Sorted(maps.Keys(questions)) }

func (h *house) register(ctx context.Context) error {
	if err := h.phone.Open(ctx, h.stage.URL+"/register"); err != nil {
		return err
	}
	h.phone.Fill("email", "owner@example.com")
	h.phone.Fill("password", "a sentence nobody guesses")
	return h.phone.Press(ctx, "Create account", "")
}

// allow allows keys in the portal and waits until the device does.
func (h *house) allow(ctx context.Context, keys ...cardea.Key) error {
	for _, key := range keys {
		if err := h.allowOne(ctx, key); err != nil {
			return err
		}
	}
	h.say("allowed in the portal", "%d questions, in force on the device", len(keys))
	return nil
}

func (h *house) allowOne(ctx context.Context, key cardea.Key) error {
	want := cardea.Allow
	if local(key) {
		want = cardea.AllowLocal
	}
	now, err := h.Decide(ctx, key, cardea.UseCollect)
	if err != nil || now.Verdict == want {
		return err // a withdrawal that the cut was faster than
	}
	words := "Allow"
	if now.Reason == cardea.ReasonWithdrawn {
		words = "Allow on this device" // where it was stopped
	}
	if err := h.phone.Open(ctx, h.stage.URL+"/consents"); err != nil {
		return err
	}
	if err := h.phone.Press(ctx, words, questions[key]); err != nil {
		return err
	}
	if h.phone.Status() != http.StatusOK {
		return fmt.Errorf("%q to %s was answered with %d: %s", words, key, h.phone.Status(), h.phone.Text())
	}
	delete(h.stopped, key)
	if err := h.becomes(ctx, key, want); err != nil {
		open := h.phone.Open(ctx, h.stage.URL+"/consents")
		return fmt.Errorf("%w: the device said %s (%s), and %q was pressed; now its owner reads: %s (%v)", err, now.Verdict, now.Reason, words, h.phone.Text(), open)
	}
	return nil
}

// local reports whether a key is of class L, which needs no time.
func local(key cardea.Key) bool { return strings.HasPrefix(string(key), "on_device") }

// wallClock moves the wall clock to and fro. Ahead, it can only stop things
// until the cloud has answered; back, it changes nothing.
func (h *house) wallClock(ctx context.Context) error {
	if err := h.setWall(ctx, time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		return err
	}
	h.say("wall clock", "set to 2036")
	if err := h.becomes(ctx, "recommendations/use", cardea.Allow); err != nil {
		return err
	}
	r, err := h.clocks(ctx)
	if err != nil {
		return err
	}
	// The kernel takes no time before its own start.
	if err := h.setWall(ctx, time.Unix(0, 0).Add(r.Monotonic+time.Second)); err != nil {
		return err
	}
	h.say("wall clock", "set back to 1970")
	return h.expect(ctx, "recommendations/use", cardea.Allow, cardea.ReasonGranted)
}

// sleep suspends the machine, offline, for longer than presence may be old.
func (h *house) sleep(ctx context.Context) error {
	if err := errors.Join(h.becomes(ctx, "presence/use", cardea.Allow), h.cable(false)); err != nil {
		return err
	}
	h.say("network off", "")
	before, err := h.clocks(ctx)
	if err != nil {
		return err
	}
	if err := h.suspend(ctx, away); err != nil {
		h.limits = append(h.limits, "suspend: "+err.Error())
		return h.back(ctx)
	}
	after, err := h.clocks(ctx)
	if err != nil {
		return err
	}
	boot, ran := after.Boot-before.Boot, after.Monotonic-before.Monotonic
	h.say("suspended to memory", "%.0f s; CLOCK_BOOTTIME counted %.1f s, CLOCK_MONOTONIC %.1f s", away.Seconds(), boot.Seconds(), ran.Seconds())
	// By this the C client sees a suspend (docs/decisions/0032-the-clock-of-a-page.md).
	if seen := after.Apart - before.Apart; (seen - (boot - ran)).Abs() > 100*time.Millisecond {
		return fmt.Errorf("the boot clock counted %s in suspend, the coarse clocks are %s further apart", boot-ran, seen)
	}
	if err := h.expect(ctx, "presence/use", cardea.Deny, ""); err != nil {
		return err
	}
	return h.back(ctx)
}

// hold pauses the machine, offline, for longer than presence may be old. The
// kernel's clocks stand still meanwhile; only the RTC goes on.
func (h *house) hold(ctx context.Context) error {
	if err := h.cable(false); err != nil {
		return err
	}
	before, err := h.clocks(ctx)
	if err != nil {
		return err
	}
	if err := h.pause(away); err != nil {
		return err
	}
	after, err := h.clocks(ctx)
	if err != nil {
		return err
	}
	boot, battery := after.Boot-before.Boot, after.RTC-before.RTC
	h.say("paused, network off", "%.0f s; CLOCK_BOOTTIME counted %.1f s, the RTC %.0f s", away.Seconds(), boot.Seconds(), battery.Seconds())
	began := time.Now()
	if err := h.becomes(ctx, "presence/use", cardea.Deny); err != nil {
		return fmt.Errorf("wrong answer: %w", err)
	}
	took := time.Since(began)
	h.say("decided", "%-30s deny, %.1f s after the machine went on", "presence/use", took.Seconds())
	if took > noticed {
		return fmt.Errorf("wrong answer: presence/use was allowed for %.1f s after the pause", took.Seconds())
	}
	return h.back(ctx)
}

// back plugs the cable in and waits until the cloud was heard.
func (h *house) back(ctx context.Context) error {
	if err := h.cable(true); err != nil {
		return err
	}
	h.say("network on", "")
	if err := h.becomes(ctx, "presence/use", cardea.Allow); err != nil {
		return err
	}
	h.say("heard the cloud", "presence/use is allowed again")
	return nil
}
