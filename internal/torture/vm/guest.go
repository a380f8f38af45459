package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The machine's inside.
const (
	guestPlan   = "/etc/vm.json"
	guestSocket = "/run/cardea/agent.sock"
	agentPort   = "7000" // the agent's socket, for the host
	wardenPort  = "7001" // the init's own, see warden
	gateway     = "10.0.2.2"
)

// A plan is what the guest is told when it boots.
type plan struct {
	Forward []string // host:port that is the same on this machine's host
}

// A reading is what the machine's clocks show.
type reading struct {
	Wall      time.Time     `json:"wall"`
	Boot      time.Duration `json:"boot"`      // CLOCK_BOOTTIME
	Monotonic time.Duration `json:"monotonic"` // CLOCK_MONOTONIC
	RTC       time.Duration `json:"rtc"`       // since 1970, in whole seconds
	Apart     time.Duration `json:"apart"`     // what CLOCK_REALTIME_COARSE has over CLOCK_MONOTONIC_COARSE
}

// guest is the machine's init. It never returns while all is well; the kernel
// panics when it does, and the host sees the machine end.
func guest() error {
	if err := errors.Join(mounts(), loadModules("/modules"), disk()); err != nil {
		return err
	}
	text, err := os.ReadFile(guestPlan)
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	for _, addr := range p.Forward {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		if err := forward("tcp", addr, "tcp", net.JoinHostPort(gateway, port)); err != nil {
			return err
		}
	}
	if err := forward("tcp", ":"+agentPort, "unix", guestSocket); err != nil {
		return err
	}
	go http.ListenAndServe(":"+wardenPort, warden())
	agent := exec.Command("/cardea-agent", "-config", "/etc/agent.toml")
	agent.Stdout, agent.Stderr = os.Stdout, os.Stderr
	return fmt.Errorf("the agent ended: %w", agent.Run())
}

func mounts() error {
	for _, m := range []struct{ kind, at string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// loadModules loads what lies in dir, by name.
func loadModules(dir string) error {
	const compressed = 4 // MODULE_INIT_COMPRESSED_FILE
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		flags := 0
		if !strings.HasSuffix(name, ".ko") {
			flags = compressed
		}
		err = unix.FinitModule(int(f.Fd()), "", flags)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return err
}

// disk mounts the machine's only disk. Its journal is replayed by this, as after
// every power cut.
func disk() error {
	if err := os.MkdirAll("/disk", 0o755); err != nil {
		return err
	}
	var err error
	for range 500 { // the driver finds it in its own time
		if err = unix.Mount("/dev/vda", "/disk", "ext4", 0, ""); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("mount /disk: %w", err)
}

// addresses of the machine's cables, by the end of their hardware address.
var addresses = map[string][4]byte{":01": {10, 0, 2, 15}, ":02": {10, 0, 3, 15}}

func network() error {
	cables, err := net.Interfaces()
	if err != nil {
		return err
	}
	found := 0
	for _, c := range cables {
		addr := [4]byte{127, 0, 0, 1}
		if c.Flags&net.FlagLoopback == 0 {
			hw := c.HardwareAddr.String()
			if addr = addresses[hw[max(0, len(hw)-3):]]; addr[0] == 0 {
				continue
			}
			found++
		}
		if err := raise(c.Name, addr); err != nil {
			return fmt.Errorf("raise %s: %w", c.Name, err)
		}
	}
	if found != len(addresses) {
		return fmt.Errorf("%d network cables, want %d", found, len(addresses))
	}
	return nil
}

// raise gives an interface an address with a mask of 24 bits, and switches it
// on: ifconfig(8) by hand.
func raise(name string, addr [4]byte) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	for _, set := range []struct {
		what uint
		addr [4]byte
	}{{unix.SIOCSIFADDR, addr}, {unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 0}}} {
		if err := r.SetInet4Addr(set.addr[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s, set.what, r); err != nil {
			return err
		}
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

// forward passes what comes to one address on to another.
func forward(kind, listen, network, target string) error {
	l, err := net.Listen(kind, listen)
	if err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go pass(c, network, target)
		}
	}()
	return nil
}

// pass joins a connection with another until either ends.
func pass(c net.Conn, network, target string) {
	defer c.Close()
	out, err := net.DialTimeout(network, target, patience)
	if err != nil {
		return
	}
	defer out.Close()
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{c, out}, {out, c}} {
		go func() {
			io.Copy(pair[0], pair[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

// warden does for the host what only the machine itself can.
func warden() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /clocks", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(reading{time.Now(), clock(unix.CLOCK_BOOTTIME), clock(unix.CLOCK_MONOTONIC), rtc(), apart()})
	})
	mux.HandleFunc("POST /clocks", func(w http.ResponseWriter, r *http.Request) {
		var set reading
		err := json.NewDecoder(r.Body).Decode(&set)
		if err == nil {
			tv := unix.NsecToTimeval(set.Wall.UnixNano())
			err = unix.Settimeofday(&tv)
		}
		answer(w, err)
	})
	mux.HandleFunc("POST /suspend", func(w http.ResponseWriter, _ *http.Request) {
		_, err := os.Stat("/sys/power/state")
		answer(w, err)
		go func() {
			time.Sleep(200 * time.Millisecond) // the answer must be out
			if err := os.WriteFile("/sys/power/state", []byte("mem"), 0o644); err != nil {
				fmt.Println("suspend:", err)
			}
		}()
	})
	return mux
}

// apart reads the coarse clocks until no tick came between them: it is the same
// twice.
func apart() time.Duration {
	for last := time.Duration(0); ; {
		now := clock(unix.CLOCK_REALTIME_COARSE) - clock(unix.CLOCK_MONOTONIC_COARSE)
		if now == last {
			return now
		}
		last = now
	}
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return -1
	}
	return time.Duration(ts.Nano())
}

// rtc is what the battery's clock shows.
func rtc() time.Duration {
	text, err := os.ReadFile("/sys/class/rtc/rtc0/since_epoch")
	if err != nil {
		return -1
	}
	seconds, err := time.ParseDuration(strings.TrimSpace(string(text)) + "s")
	if err != nil {
		return -1
	}
	return seconds
}
