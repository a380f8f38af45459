package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// A machine is one that runs, from its power switch to its power cut. Its disk
// outlives it.
type machine struct {
	*client.Client
	*monitor
	qemu   *exec.Cmd
	ended  chan struct{}
	warden string // URL of the init
	dir    string
}

// boots counts the machines of this process, so that each has sockets of its own.
var boots int

// boot starts a machine on the kernel, initramfs and disk in dir, with or
// without its network cable, and waits until its agent answers.
func boot(ctx context.Context, k kernel, dir string, cable bool) (*machine, error) {
	boots++
	ports, err := stage.FreePorts(2)
	if err != nil {
		return nil, err
	}
	qmp := filepath.Join(dir, fmt.Sprintf("qmp%d", boots))
	m := &machine{dir: dir, ended: make(chan struct{}), warden: "http://127.0.0.1:" + ports[1]}
	m.qemu = exec.CommandContext(ctx, "qemu-system-x86_64",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-S",
		"-machine", "pc,accel=tcg", "-cpu", "max", "-m", "192",
		"-kernel", k.image, "-initrd", filepath.Join(dir, "initramfs"),
		"-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on",
		"-serial", "file:"+filepath.Join(dir, fmt.Sprintf("console%d.log", boots)),
		"-rtc", "base=1970-01-01T00:00:00,clock=host",
		"-drive", "file="+filepath.Join(dir, "disk")+",if=none,id=disk,format=raw",
		"-device", "virtio-blk-pci,drive=disk",
		"-netdev", "user,id=world,net=10.0.2.0/24",
		"-device", "virtio-net-pci,netdev=world,mac=52:54:00:00:00:01,romfile=",
		"-netdev", fmt.Sprintf("user,id=host,net=10.0.3.0/24,restrict=on,hostfwd=tcp:127.0.0.1:%s-:%s,hostfwd=tcp:127.0.0.1:%s-:%s",
			ports[0], agentPort, ports[1], wardenPort),
		"-device", "virtio-net-pci,netdev=host,mac=52:54:00:00:00:02,romfile=",
		"-qmp", "unix:"+qmp+",server=on,wait=off",
	)
	var said bytes.Buffer
	m.qemu.Stderr = &said
	m.qemu.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := m.qemu.Start(); err != nil {
		return nil, fmt.Errorf("%w: qemu (apt-get install qemu-system-x86): %w", ErrMissing, err)
	}
	go func() {
		m.qemu.Wait()
		close(m.ended)
	}()
	if err := m.start(ctx, qmp, ports[0], cable); err != nil {
		m.kill()
		return nil, fmt.Errorf("boot: %w\n%s%s", err, &said, m.console())
	}
	return m, nil
}

func (m *machine) start(ctx context.Context, qmp, port string, cable bool) error {
	var err error
	if m.monitor, err = dialMonitor(qmp, m.ended); err != nil {
		return err
	}
	if err := errors.Join(m.cable(cable), m.do("cont", nil)); err != nil {
		return err
	}
	// The client wants a socket; what comes to it goes into the machine.
	socket := filepath.Join(m.dir, fmt.Sprintf("agent%d", boots))
	if err := forward("unix", socket, "tcp", "127.0.0.1:"+port); err != nil {
		return err
	}
	m.Client = client.New(socket)
	return m.until(ctx, "the agent answers", func() error {
		_, err := m.Status(ctx)
		return err
	})
}

// until waits for what comes by itself.
func (m *machine) until(ctx context.Context, what string, try func() error) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s: %w", what, err)
		case <-m.ended:
			return fmt.Errorf("the machine ended before %s: %w", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// cable plugs the network in, or pulls it.
func (m *machine) cable(in bool) error {
	return m.do("set_link", map[string]any{"name": "world", "up": in})
}

// quit switches the machine off as it stands: its memory is gone. QEMU still
// finishes what the disk was given.
func (m *machine) quit() error {
	err := m.do("quit", nil)
	<-m.ended
	return err
}

// kill cuts the machine off in the middle of whatever its disk does.
func (m *machine) kill() {
	m.qemu.Process.Kill()
	<-m.ended
}

// clocks reads the machine's clocks.
func (m *machine) clocks(ctx context.Context) (reading, error) {
	var r reading
	return r, m.ask(ctx, http.MethodGet, "/clocks", nil, &r)
}

// setWall sets the machine's wall clock.
func (m *machine) setWall(ctx context.Context, to time.Time) error {
	return m.ask(ctx, http.MethodPost, "/clocks", reading{Wall: to}, nil)
}

// suspend puts the machine to sleep for a time.
func (m *machine) suspend(ctx context.Context, d time.Duration) error {
	before := m.events["SUSPEND"]
	if err := m.ask(ctx, http.MethodPost, "/suspend", nil, nil); err != nil {
		return err
	}
	if err := m.await("SUSPEND", before+1); err != nil {
		return err
	}
	time.Sleep(d)
	return m.do("system_wakeup", nil)
}

// pause stops the machine's processor, and with it every clock in it, for a time.
func (m *machine) pause(d time.Duration) error {
	if err := m.do("stop", nil); err != nil {
		return err
	}
	time.Sleep(d)
	return m.do("cont", nil)
}

func (m *machine) ask(ctx context.Context, method, path string, body, into any) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, m.warden+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Close = true // a machine that sleeps keeps no connection
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("ask the machine: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the machine %s: %s", path, res.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// console is the end of what the machine has printed; nothing of one that could
// not be switched on.
func (m *machine) console() string {
	if m == nil {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(m.dir, fmt.Sprintf("console%d.log", boots)))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}
