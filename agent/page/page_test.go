package page_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/page"
)

const epoch = cardea.Millis(1_800_000_000_000)

// A world is a gate on a clock the test moves, and the page of one program.
type world struct {
	*gate.Gate
	t     testing.TB
	mu    sync.Mutex
	boot  time.Duration
	pages *page.Pages
	link  cardea.LinkID
	mine  func(cardea.PurposeID) bool
}

func (w *world) read() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.boot
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boot += d
}

func all(cardea.PurposeID) bool { return true }

func newWorld(t testing.TB) *world {
	w := &world{t: t, boot: time.Hour + 300*time.Millisecond, pages: page.NewPages(), link: cardea.NewID[cardea.LinkID](), mine: all}
	w.Gate = gate.New(gate.Config{Boot: w.read, BootID: "one", Changed: func() { w.pages.Publish(w.Gate) }})
	at := w.read()
	w.run(func() time.Duration { return at })
	return w
}

// run keeps the pages alive until the test ends or stop is called.
func (w *world) run(boot func() time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.pages.Run(ctx, boot) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	for {
		if err := w.ready(); err == nil {
			return stop
		}
		runtime.Gosched()
	}
}

func (w *world) ready() error {
	file, err := w.pages.Of("probe", all, w.Gate)
	if err == nil {
		file.Close()
	}
	return err
}

// file is the page as a program gets it.
func (w *world) file() *os.File {
	w.t.Helper()
	var file *os.File
	var err error
	w.Still(func() { file, err = w.pages.Of("speaker", w.mine, w.Gate) })
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { file.Close() })
	return file
}

// reader maps the page as a program does.
func (w *world) reader() []byte {
	w.t.Helper()
	memory, err := unix.Mmap(int(w.file().Fd()), 0, page.Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { unix.Munmap(memory) })
	return memory
}

func consent(key cardea.Key, reason cardea.Reason, class cardea.Class, staleness uint32) cardea.Consent {
	return cardea.Consent{Key: key, Version: 1, Reason: reason, Class: class, Staleness: staleness}
}

// state gives what the world's link holds, answered for just now.
func (w *world) state(consents ...cardea.Consent) {
	w.Set(w.link, gate.State{Revision: 1, Consents: consents})
	w.Activate(w.link)
	w.Renew(w.link, gate.Anchor{Time: epoch, At: w.read(), Lease: epoch.Add(time.Hour)})
}

// agrees checks that the page says what the gate says, or to ask; it may ask
// only about a yes.
func (w *world) agrees(memory []byte, key cardea.Key) {
	w.t.Helper()
	for _, use := range []cardea.Use{"", cardea.UseCollect, cardea.UseLocal, cardea.UseEgress, "sell"} {
		q := cardea.Query{Key: key, Use: use}
		said, want := page.Read(memory, q, w.read()), w.Decide(q)
		switch {
		case said.Ask:
			if said.Verdict != cardea.Deny {
				w.t.Errorf("%v: says to ask, and %s", q, said.Verdict)
			}
		case said.Verdict != want.Verdict || said.Reason != want.Reason:
			w.t.Errorf("%v: page %s (%s), gate %s (%s)", q, said.Verdict, said.Reason, want.Verdict, want.Reason)
		case said.Generation != w.Generation():
			w.t.Errorf("%v: generation %d, want %d", q, said.Generation, w.Generation())
		}
	}
}

func TestPageSaysWhatTheGateSays(t *testing.T) {
	w := newWorld(t)
	memory := w.reader()
	keys := []cardea.Key{"voice/use", "habits/use", "alarm/use", "shop/sale", "radio/use", "nobody/knows"}
	check := func() {
		t.Helper()
		for _, key := range keys {
			w.agrees(memory, key)
		}
	}
	check() // a guest
	w.state(
		consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 30),
		consent("habits/use", cardea.ReasonGranted, cardea.ClassL, 3600),
		consent("alarm/use", cardea.ReasonGranted, cardea.ClassN, 0),
		consent("shop/sale", cardea.ReasonRefused, cardea.ClassB, 60),
		consent("radio/use", cardea.ReasonGranted, cardea.ClassC, 20),
	)
	check()
	if a := page.Read(memory, cardea.Query{Key: "voice/use"}, w.read()); a.Ask || a.Verdict != cardea.Allow {
		t.Errorf("a fresh yes: %+v", a)
	}
	w.Set(w.link, gate.State{Revision: 2, Consents: []cardea.Consent{consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 30)},
		Own: map[cardea.Key]cardea.Act{"voice/use": cardea.ActDeny}})
	check()
	for _, bar := range cardea.Reasons[1:] {
		w.Set(w.link, gate.State{Bar: bar})
		check()
		if a := page.Read(memory, cardea.Query{Key: "voice/use"}, w.read()); a.Ask || a.Reason != bar {
			t.Errorf("barred by %s: %+v", bar, a)
		}
	}
	w.Activate(cardea.LinkID{})
	check()
}

// Whatever the state and the time, a page allows nothing the gate does not.
func TestPageNeverAllowsMore(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	memory := w.reader()
	classes := []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL, cardea.ClassN, "X"}
	for range 2000 {
		switch r.IntN(4) {
		case 0:
			var consents []cardea.Consent
			for i := range r.IntN(8) {
				key := cardea.Key(fmt.Sprintf("p%d/use", i))
				consents = append(consents, consent(key, cardea.Reasons[r.IntN(len(cardea.Reasons))], classes[r.IntN(len(classes))], uint32(r.IntN(40))))
			}
			w.state(consents...)
		case 1:
			w.pass(time.Duration(r.Int64N(int64(8 * time.Second))))
			if r.IntN(4) > 0 {
				w.pages.Beat(w.read())
			}
		case 2:
			w.Renew(w.link, gate.Anchor{Time: epoch.Add(w.read() - time.Hour), At: w.read(), Lease: epoch.Add(w.read())})
		case 3:
			w.Shorten(time.Duration(r.Int64N(int64(5 * time.Second))))
		}
		for i := range 8 {
			w.agrees(memory, cardea.Key(fmt.Sprintf("p%d/use", i)))
		}
	}
}

// A yes ends at its second, and with the heartbeat.
func TestAYesEndsByItself(t *testing.T) {
	w := newWorld(t)
	memory := w.reader()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 5), consent("shop/use", cardea.ReasonGranted, cardea.ClassB, 3600))
	yes := func(key cardea.Key) bool {
		a := page.Read(memory, cardea.Query{Key: key}, w.read())
		return !a.Ask && a.Verdict == cardea.Allow
	}
	if !yes("voice/use") || !yes("shop/use") {
		t.Fatal("no yes to begin with")
	}
	w.pass(5 * time.Second)
	if yes("voice/use") || !yes("shop/use") {
		t.Errorf("after 5 s of 5: %v, of an hour: %v", yes("voice/use"), yes("shop/use"))
	}
	w.pass(5 * time.Second)
	if yes("shop/use") {
		t.Error("ten seconds after the last heartbeat it is still yes")
	}
	if a := page.Read(memory, cardea.Query{Key: "nobody/knows"}, w.read()); !a.Ask {
		t.Errorf("a dead page says %+v", a)
	}
	w.pass(-20 * time.Minute) // a clock of another time namespace
	if yes("shop/use") {
		t.Error("yes before the heartbeat")
	}
}

func TestAProgramSeesItsOwnKeysOnly(t *testing.T) {
	w := newWorld(t)
	w.mine = func(id cardea.PurposeID) bool { return id == "voice" }
	memory := w.reader()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 30), consent("shop/use", cardea.ReasonGranted, cardea.ClassA, 30))
	if a := page.Read(memory, cardea.Query{Key: "voice/use"}, w.read()); a.Verdict != cardea.Allow {
		t.Errorf("its own: %+v", a)
	}
	if a := page.Read(memory, cardea.Query{Key: "shop/use"}, w.read()); a.Verdict != cardea.Deny || a.Reason != cardea.ReasonUnknown {
		t.Errorf("another's: %+v", a)
	}
}

func TestWhatDoesNotFitIsAsked(t *testing.T) {
	w := newWorld(t)
	memory := w.reader()
	var consents []cardea.Consent
	for i := range page.Capacity + 3 {
		consents = append(consents, consent(cardea.Key(fmt.Sprintf("p%04d/use", i)), cardea.ReasonGranted, cardea.ClassA, 30))
	}
	w.state(consents[:page.Capacity]...)
	for _, c := range consents[:page.Capacity] {
		if a := page.Read(memory, cardea.Query{Key: c.Key}, w.read()); a.Verdict != cardea.Allow {
			t.Fatalf("%s of a full page: %+v", c.Key, a)
		}
	}
	if a := page.Read(memory, cardea.Query{Key: "unheard/of"}, w.read()); a.Ask {
		t.Error("a full page asks about what nobody knows")
	}
	w.state(consents...)
	asked := 0
	for _, c := range consents {
		if page.Read(memory, cardea.Query{Key: c.Key}, w.read()).Ask {
			asked++
		}
	}
	if asked != 3 {
		t.Errorf("%d of %d are to be asked", asked, len(consents))
	}
	if a := page.Read(memory, cardea.Query{Key: "unheard/of"}, w.read()); !a.Ask {
		t.Errorf("too much for a page, and it knows all the same: %+v", a)
	}
}

// Where suspend is not counted only the gate can tell when a yes ends.
func TestUntimed(t *testing.T) {
	w := newWorld(t)
	w.Gate = gate.New(gate.Config{Boot: w.read, BootID: "one", Resumes: func() uint64 { return 0 }, Changed: func() { w.pages.Publish(w.Gate) }})
	memory := w.reader()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 30), consent("shop/use", cardea.ReasonRefused, cardea.ClassA, 30))
	if a := page.Read(memory, cardea.Query{Key: "voice/use"}, w.read()); !a.Ask {
		t.Errorf("a yes: %+v", a)
	}
	if a := page.Read(memory, cardea.Query{Key: "shop/use"}, w.read()); a.Ask || a.Reason != cardea.ReasonRefused {
		t.Errorf("a no: %+v", a)
	}
}

// Readers beside a writer see one state or the other, whole.
func TestReadersNeverSeeHalf(t *testing.T) {
	w := newWorld(t)
	memory := w.reader()
	off := []cardea.Consent{consent("a/use", cardea.ReasonRefused, cardea.ClassA, 30), consent("b/use", cardea.ReasonGranted, cardea.ClassA, 30)}
	on := []cardea.Consent{consent("a/use", cardea.ReasonGranted, cardea.ClassA, 30), consent("b/use", cardea.ReasonRefused, cardea.ClassA, 30)}
	w.state(off...)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := uint64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				a := page.Read(memory, cardea.Query{Key: "a/use"}, w.read())
				b := page.Read(memory, cardea.Query{Key: "b/use"}, w.read())
				if a.Ask || b.Ask {
					continue
				}
				if a.Generation < last || b.Generation < a.Generation {
					t.Errorf("generation %d, then %d and %d", last, a.Generation, b.Generation)
				}
				if last = b.Generation; a.Generation == b.Generation && a.Verdict == b.Verdict {
					t.Errorf("both %s in generation %d", a.Verdict, a.Generation)
				}
			}
		})
	}
	for i := range 3000 {
		if i%2 == 0 {
			w.Set(w.link, gate.State{Revision: 1, Consents: on})
		} else {
			w.Set(w.link, gate.State{Revision: 1, Consents: off})
		}
	}
	close(stop)
	readers.Wait()
}

// Who has the page can only read it.
func TestThePageIsSealed(t *testing.T) {
	w := newWorld(t)
	fd := int(w.file().Fd())
	if err := unix.Ftruncate(fd, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("made shorter: %v", err)
	}
	if err := unix.Ftruncate(fd, 2*page.Size); !errors.Is(err, unix.EPERM) {
		t.Errorf("made longer: %v", err)
	}
	if _, err := unix.Pwrite(fd, []byte{1}, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("written: %v", err)
	}
	if _, err := unix.Mmap(fd, 0, page.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("mapped for writing")
	}
	if again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0); err == nil {
		if _, err := again.WriteAt([]byte{1}, 0); err == nil {
			t.Error("opened again and written")
		}
		again.Close()
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err == nil {
		t.Error("sealed once more")
	}
}

func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	w.pages = page.NewPages()
	var beats atomic.Int64
	beaten := make(chan struct{})
	stop := w.run(func() time.Duration {
		if beats.Add(1) == 2 {
			close(beaten)
		}
		return w.read()
	})
	memory := w.reader()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 3000))
	w.pass(time.Minute)
	if a := page.Read(memory, cardea.Query{Key: "voice/use"}, w.read()); !a.Ask {
		t.Errorf("a minute after the heartbeat: %+v", a)
	}
	<-beaten
	stop()
	if a := page.Read(memory, cardea.Query{Key: "voice/use"}, w.read()); !a.Ask {
		t.Errorf("after the agent ended: %+v", a)
	}
	if _, err := w.pages.Of("late", all, w.Gate); !errors.Is(err, page.ErrEnded) {
		t.Errorf("a page of an agent that ended: %v", err)
	}
}

// An agent that is killed takes its pages along at once, by the kernel's hand.
func TestPagesDieWithTheAgent(t *testing.T) {
	if os.Getenv("PAGE_AGENT") != "" {
		playAgent(t)
		return
	}
	ours, theirs := socketPair(t)
	agent := exec.Command(os.Args[0], "-test.run", "^TestPagesDieWithTheAgent$")
	agent.Env = append(os.Environ(), "PAGE_AGENT=1")
	agent.ExtraFiles = []*os.File{theirs}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	memory := receivePage(t, ours)
	q := cardea.Query{Key: "voice/use"}
	if a := page.Read(memory, q, gate.BootTime()); a.Verdict != cardea.Allow {
		t.Fatalf("while the agent lives: %+v", a)
	}
	agent.Process.Kill()
	agent.Wait()
	if a := page.Read(memory, q, gate.BootTime()); !a.Ask {
		t.Errorf("after the agent was killed: %+v", a)
	}
}

// livingWorld is on the machine's own clock, and its voice may be used.
func livingWorld(t testing.TB) *world {
	w := &world{t: t, pages: page.NewPages(), link: cardea.NewID[cardea.LinkID](), mine: all}
	w.Gate = gate.New(gate.Config{Changed: func() { w.pages.Publish(w.Gate) }})
	w.run(gate.BootTime)
	w.Set(w.link, gate.State{Revision: 1, Consents: []cardea.Consent{consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 3000)}})
	w.Activate(w.link)
	w.Renew(w.link, gate.Anchor{Time: epoch, At: gate.BootTime(), Lease: epoch.Add(time.Hour)})
	return w
}

// playAgent hands a page over and waits to be killed.
func playAgent(t *testing.T) {
	w := livingWorld(t)
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(int(w.file().Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	select {}
}

func socketPair(t *testing.T) (ours int, theirs *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs = os.NewFile(uintptr(pair[1]), "theirs")
	t.Cleanup(func() { unix.Close(pair[0]); theirs.Close() })
	return pair[0], theirs
}

func receivePage(t *testing.T, from int) []byte {
	t.Helper()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(from, make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%v, %v", messages, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	memory, err := unix.Mmap(fds[0], 0, page.Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	return memory
}

// Nothing in a page makes a reader fail.
func FuzzRead(f *testing.F) {
	w := newWorld(f)
	memory := w.reader()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 30))
	f.Add(append([]byte(nil), memory...), "voice/use", int64(w.read()))
	f.Add([]byte{}, "", int64(0))
	f.Fuzz(func(t *testing.T, text []byte, key string, boot int64) {
		memory := make([]byte, page.Size)
		copy(memory, text)
		a := page.Read(memory, cardea.Query{Key: cardea.Key(key)}, time.Duration(boot))
		if a.Ask && a.Verdict != cardea.Deny || a.Reason == "" {
			t.Errorf("%+v", a)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	w := newWorld(b)
	memory := w.reader()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 3000))
	for b.Loop() {
		page.Read(memory, cardea.Query{Key: "voice/use"}, w.read())
	}
}

func BenchmarkPublish(b *testing.B) {
	w := newWorld(b)
	w.reader()
	var consents []cardea.Consent
	for i := range 40 {
		consents = append(consents, consent(cardea.Key(fmt.Sprintf("p%04d/use", i)), cardea.ReasonGranted, cardea.ClassA, 30))
	}
	w.state(consents...)
	for b.Loop() {
		w.pages.Publish(w.Gate)
	}
}
