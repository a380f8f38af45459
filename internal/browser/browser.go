// Package browser drives a real Chromium as a person does: it opens pages, reads
// them, types, presses keys and buttons, and looks at what is drawn, in any
// width, light or dark, with scripts or without. It serves the tests of the
// pages and is linked into no program of ours.
//
// A page has cookies of its own, as if each were another person's browser. Every
// wait is for an event, bounded by Patience, and whatever goes wrong is an error
// that says on which page. What a page logs as an error, and every request it
// makes to a host that is not its own, is kept: see Page.Complaints.
//
// It is the only importer of chromedp.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Patience is how long anything may take.
const Patience = 30 * time.Second

// A Config says which browser is started. The zero value is the one of the
// machine.
type Config struct {
	// AnyCertificate accepts whatever certificate a server shows.
	AnyCertificate bool
	// Hosts are names and where to find them: "id.example.com": "127.0.0.1".
	Hosts map[string]string
}

// A Browser is a running Chromium.
type Browser struct {
	ctx    context.Context
	cancel []context.CancelFunc
	folder string
}

// programs are the names Chromium has on different systems.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"}

// Start starts a browser without a window. It ends with ctx, or with Close.
func Start(ctx context.Context, c Config) (*Browser, error) {
	path := ""
	for _, name := range programs {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, fmt.Errorf("start a browser: no Chromium here: run make chromium")
	}
	folder, err := os.MkdirTemp("", "cardea-browser-")
	if err != nil {
		return nil, fmt.Errorf("start a browser: %w", err)
	}
	b := &Browser{folder: folder}
	ctx, stop := chromedp.NewExecAllocator(ctx, options(path, folder, c)...)
	ctx, end := chromedp.NewContext(ctx)
	b.ctx, b.cancel = ctx, []context.CancelFunc{end, stop}
	if err := chromedp.Run(ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return b, nil
}

func options(path, folder string, c Config) []chromedp.ExecAllocatorOption {
	all := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(folder), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("headless", "new"), chromedp.DisableGPU, chromedp.WSURLReadTimeout(Patience),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("mute-audio", true), chromedp.Flag("disable-dev-shm-usage", true),
		// A test's browser talks to the test and nobody else.
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-default-apps", true), chromedp.Flag("disable-extensions", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("metrics-recording-only", true),
		// Pages that are not looked at still run.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		// What is drawn is the same on every machine.
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("password-store", "basic"), chromedp.Flag("disable-features", "Translate,PasswordManagerOnboarding"),
	}
	if os.Getuid() == 0 {
		all = append(all, chromedp.NoSandbox) // which it refuses to have as root
	}
	if c.AnyCertificate {
		all = append(all, chromedp.Flag("ignore-certificate-errors", true))
	}
	var rules strings.Builder
	for name, at := range c.Hosts {
		rules.WriteString("MAP " + name + " " + at + ",")
	}
	if rules.String() != "" {
		all = append(all, chromedp.Flag("host-resolver-rules", rules.String()))
	}
	return all
}

// Close ends the browser and forgets everything it kept.
func (b *Browser) Close() error {
	for _, cancel := range b.cancel {
		cancel()
	}
	return os.RemoveAll(b.folder)
}
