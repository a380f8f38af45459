package tool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/tool"
)

// An agent answers each call with what stands for it, and keeps what it was
// sent.
type agent struct {
	socket string
	says   map[string]string // by method and path

	mu    sync.Mutex
	heard []string
	next  map[string][]string // what is said before that, each once
}

// last is what the agent heard last.
func (a *agent) last() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard[len(a.heard)-1]
}

func newAgent(t *testing.T, says map[string]string) *agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "cardea")
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{socket: filepath.Join(dir, "s"), says: says}
	l, err := net.Listen("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(a.answer)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close(); os.RemoveAll(dir) })
	return a
}

func (a *agent) answer(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + r.URL.Path
	var body bytes.Buffer
	body.ReadFrom(r.Body)
	a.mu.Lock()
	a.heard = append(a.heard, strings.TrimSpace(call+" "+body.String()))
	text, ok := a.says[call]
	if queue := a.next[call]; len(queue) > 0 {
		text, ok, a.next[call] = queue[0], true, queue[1:]
	}
	a.mu.Unlock()
	if strings.HasPrefix(text, `{"error"`) || !ok {
		w.WriteHeader(http.StatusConflict)
	}
	if !ok {
		text = `{"error":"invalid_request","error_description":"nothing is said to ` + call + `"}`
	}
	w.Write([]byte(text))
}

// run is one use of the program; no colours, and the agent's socket in the
// environment.
func (a *agent) run(t *testing.T, line string) (code int, out, errs string) {
	t.Helper()
	return runAt(t, a.socket, line)
}

func runAt(t *testing.T, socket, line string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := tool.Run(t.Context(), strings.Fields(line), tool.IO{In: os.Stdin, Out: &out, Err: &errs, Env: func(name string) string {
		return map[string]string{"CARDEA_SOCKET": socket}[name]
	}})
	return code, out.String(), errs.String()
}

const (
	link = "kZ2v7Q5nSgyLk0cXHq8b1A"
	head = `{"era":1,"seq":4,"hash":"0900000000000000000000000000000000000000000000000000000000000000"}`
)

var held = map[string]string{
	"GET /v1/status": `{"program":"operator","entitlements":["pair"],"device":"NzbL","link":"` + link + `","links":["` + link + `"],
		"issuer":"https://id.example.com","clock":"synced","connected":true,"pending":2,"generation":7}`,
	"POST /v1/guest":                       `{"generation":8}`,
	"POST /v1/links/" + link + "/activate": `{"link":"` + link + `","generation":9}`,
	"GET /v1/links":                        `{"generation":7,"links":[{"link":"` + link + `","active":true,"owner":true,"name":"Mara \u001b[31m"}]}`,
	"GET /v1/consents": `{"generation":7,"link":"` + link + `","head":` + head + `,"consents":[
		{"key":"recommendations/use","version":3,"class":"C","verdict":"allow","reason":"granted","left_ms":259100000},
		{"key":"voice/use","version":1,"class":"A","verdict":"deny","reason":"withdrawn","left_ms":0,"own":"deny"}]}`,
	"GET /v1/preferences": `{"generation":7,"link":"` + link + `","head":` + head + `,"preferences":[
		{"key":"language","value":"de","source":"default"},
		{"key":"voice_speed","value":120,"source":"portal","since":1767225600250,"purpose":"comfort"}]}`,
	"POST /v1/consents/withdraw": `{"stopped":true,"generation":8}`,
	"POST /v1/consents/allow":    `{"pending":true,"generation":9}`,
	"PUT /v1/preferences":        `{"pending":true,"generation":9}`,
	"GET /v1/notice": `{"key":"voice/use","version":1,"language":"de","notice":"` + strings.Repeat("ab", 32) + `","class":"A","title":"Sprache \u001b[31m",
		"question":"Dürfen wir?","what":"Was Sie sagen","why":"","benefit":"","refusal":"Nichts","data":["voice","place"],
		"recipients":[{"name":"Ears","relation":"third_party","country":"US","sold":true}],"retention":"30 days","countries":["US"],"valid_days":365}`,
	"POST /v1/reset": `{"reset":true,"device":"another","ended":["` + link + `"]}`,
	"GET /v1/whoami": `{"pid":7,"uid":4711,"gid":4711,"unit":"ui.service","program":"ui","rule":{"file":"/etc/cardea/apps.d/ui.toml",
		"user":"4711","unit":"ui.service"},"entitlements":["decide"],"purposes":["*"]}`,
	"GET /v1/check": `{"findings":[{"check":"flush","state":"ok","found":"a page is on the disk in 2ms"},
		{"check":"clock","state":"waits","found":"not known","remedy":"let the device reach the cloud"}]}`,
}

// Each command says what it is for, to people and to programs.
func TestCommands(t *testing.T) {
	const notice = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for _, test := range []struct {
		line  string
		says  string // each word apart by |
		heard string // the last call
	}{
		{"status", "Mara|connected|2 decisions|operator", "GET /v1/links"},
		{"consents", "● recommendations/use|allowed|71 h 58 min left|○ voice/use|withdrawn, the cloud has yet to hear|class A, version 1", "GET /v1/consents"},
		{"prefs", "language|de|voice_speed|120|portal 2026-01-01 for comfort", "GET /v1/preferences"},
		{"prefs language", "de", "GET /v1/preferences"},
		{"prefs voice_speed 90 --reach everywhere", "voice_speed is 90", `PUT /v1/preferences {"key":"voice_speed","value":90,"reach":"everywhere"}`},
		{"prefs language fr", `language is "fr"`, `PUT /v1/preferences {"key":"language","value":"fr","reach":"device"}`},
		{`prefs genres ["rock","jazz"]`, `genres is ["jazz","rock"]`, `PUT /v1/preferences {"key":"genres","value":["jazz","rock"],"reach":"device"}`},
		{"prefs voice_speed -- -5", "voice_speed is -5", `PUT /v1/preferences {"key":"voice_speed","value":-5,"reach":"device"}`},
		{"withdraw voice/use", "voice/use is stopped on this device", `POST /v1/consents/withdraw {"key":"voice/use","reach":"device"}`},
		{"withdraw --reach everyone voice/use", "for everyone at this device", `POST /v1/consents/withdraw {"key":"voice/use","reach":"everyone"}`},
		{"allow recommendations/use --notice " + notice, "on its way", `POST /v1/consents/allow {"key":"recommendations/use","version":3,"notice":"` +
			notice + `","reach":"device","link":"` + link + `","head":` + head + `}`},
		{"allow voice/use --reach everyone", "on its way", `POST /v1/consents/allow {"key":"voice/use","version":0,"notice":"","reach":"everyone"}`},
		{"notice voice/use --lang de", "Dürfen wir?|Was Sie sagen|voice, place|Ears, US, for money or value|30 days|365 days|abababab", "GET /v1/notice"},
		{"return --yes", "given back|ended|" + link + "|NzbL|another", "POST /v1/reset {}"},
		{"people", "● " + link + "|Mara|here now, the device's owner", "GET /v1/links"},
		{"people " + link, link + " uses this device", "POST /v1/links/" + link + "/activate {}"},
		{"people guest", "A guest uses this device", "POST /v1/guest {}"},
		{"whoami", "You are ui|4711|ui.service|unit ui.service and user 4711|all", "GET /v1/whoami"},
		{"check", "✓ flush|◐ clock|→ let the device reach the cloud|by itself", "GET /v1/check"},
	} {
		a := newAgent(t, held)
		code, out, errs := a.run(t, test.line)
		if code != tool.Done || errs != "" {
			t.Errorf("%s: code %d: %s", test.line, code, errs)
		}
		for part := range strings.SplitSeq(test.says, "|") {
			if !strings.Contains(out, part) {
				t.Errorf("%s does not say %q:\n%s", test.line, part, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s writes to the terminal itself: %q", test.line, out)
		}
		if last := a.last(); last != test.heard {
			t.Errorf("%s: the agent heard\n%s, want\n%s", test.line, last, test.heard)
		}
		if _, out, _ := a.run(t, test.line+" --json"); !strings.Contains(test.line, "--") && !json.Valid([]byte(out)) {
			t.Errorf("%s --json: %s", test.line, out)
		}
	}
}

func TestExitCodes(t *testing.T) {
	a := newAgent(t, map[string]string{
		"GET /v1/whoami":   `{"pid":7,"uid":4711,"gid":4711,"remedy":"add a file","file":"name = \"me\"\n"}`,
		"GET /v1/check":    `{"findings":[{"check":"flush","state":"act","found":"slow","remedy":"another disk"}]}`,
		"GET /v1/consents": `{"error":"guest","error_description":"POST something"}`,
		"GET /v1/status":   `{"error":"not_registered","error_description":"no file"}`,
	})
	for _, test := range []struct {
		line string
		code int
		says string
	}{
		{"", tool.Done, "Exit code"},
		{"help", tool.Done, "withdraw"},
		{"--version", tool.Done, " go1."},
		{"help withdraw", tool.Done, "--reach IT"},
		{"withdraw --help", tool.Done, "consent.write"},
		{"whoami", tool.No, "add a file"},
		{"check", tool.No, "1 thing needs somebody"},
		{"check --json", tool.No, "another disk"},
		{"consents", tool.No, "nobody known uses the device"},
		{"status", tool.No, "cardea whoami"},
		{"dance", tool.Usage, `no command "dance"`},
		{"chek", tool.Usage, "check?"},
		{"consnets", tool.Usage, "consents?"},
		{"with", tool.Usage, "withdraw?"},
		{"help dance", tool.Usage, "no command"},
		{"withdraw", tool.Usage, "say the KEY"},
		{"people ada", tool.Usage, "as cardea people lists them"},
		{"withdraw a/use b/use", tool.Usage, "too much"},
		{"withdraw a/use --reach street", tool.Usage, "--reach is one of device everywhere everyone, not"},
		{"prefs voice_speed 1 --reach everyone", tool.Usage, "--reach is one of"},
		{"allow a/use", tool.Usage, "64 hexadecimal"},
		{"allow a/use --reach everyone --version 2", tool.Usage, "leave --notice"},
		{"return", tool.Usage, "say --yes"},
		{"status --nonsense", tool.Usage, "not defined"},
		{"completion tcsh", tool.Usage, "bash, zsh and fish"},
		{"demo --owner nobody", tool.Usage, "you or script"},
		{"demo --fault deny", tool.Usage, "needs --owner script"},
		{"demo --owner script --fault fire", tool.Usage, "knows only deny"},
		{"demo --kind toaster", tool.Usage, "speaker or car"},
		{"demo now", tool.Usage, "too much"},
		{"demo --json", tool.Usage, "not defined"},
		{"status --socket /nowhere/s", tool.NoAgent, "there is no socket"},
	} {
		code, out, errs := a.run(t, test.line)
		if code != test.code || !strings.Contains(out+errs, test.says) {
			t.Errorf("cardea %s: %d, want %d with %q:\n%s%s", test.line, code, test.code, test.says, out, errs)
		}
		if errs != "" && (strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cardea: ")) {
			t.Errorf("cardea %s: more than a line: %q", test.line, errs)
		}
	}
}

// Whoever can not reach the agent hears why.
func TestNoAgent(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for path, says := range map[string]string{
		filepath.Join(dir, "none"): "start the agent",
		dead:                       "nobody listens",
	} {
		code, _, errs := runAt(t, path, "status")
		if code != tool.NoAgent || !strings.Contains(errs, says) {
			t.Errorf("%s: %d %s", path, code, errs)
		}
	}
}

func TestWatchTellsChanges(t *testing.T) {
	consent := func(verdict, reason string) string {
		return `"consents":[{"key":"voice/use","version":1,"class":"A","verdict":"` + verdict + `","reason":"` + reason + `","left_ms":1000}]`
	}
	lines := []string{
		`{"generation":7,"link":"` + link + `","pairing":"linked",` + consent("allow", "granted") + `,"preferences":[{"key":"voice_speed","value":1}]}`,
		`{"generation":7,"link":"` + link + `","pairing":"linked",` + consent("allow", "granted") + `,"preferences":[{"key":"voice_speed","value":2}]}`,
		`{"generation":8,"link":"` + link + `","pairing":"linked",` + consent("deny", "withdrawn") + `}`,
		`{"generation":9,"link":"` + link + `","pairing":"pending"}`,
		`{"generation":9,"pairing":"pending"}`,
		`{"generation":9,"link":"` + link + `","pairing":"pending",` + consent("deny", "clock") + `}`,
	}
	a := newAgent(t, map[string]string{"GET /v1/watch": strings.Join(lines, "\n") + "\n"})
	code, out, errs := a.run(t, "watch")
	if code != tool.NoAgent { // the stream ended
		t.Errorf("%d: %s", code, errs)
	}
	var said []string
	for line := range strings.Lines(out) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
		said = append(said, strings.Join(strings.Fields(text), " "))
	}
	want := []string{
		"● voice/use allowed", "= voice_speed 1",
		"= voice_speed 2",
		"○ voice/use withdrawn", "= voice_speed can not be set any more",
		"◐ pairing: pending", "○ voice/use is asked no more",
		"○ nobody known uses the device any more",
		"● somebody else uses the device now", "○ voice/use the time is not known",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("watch says\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if _, out, _ := a.run(t, "watch --json"); strings.Count(out, "\n") != len(lines) {
		t.Errorf("watch --json: %s", out)
	}
}

func TestWatchEndsWithCtrlC(t *testing.T) {
	a := newAgent(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out bytes.Buffer
	code := tool.Run(ctx, []string{"watch"}, tool.IO{In: os.Stdin, Out: &out, Err: &out, Env: func(string) string { return a.socket }})
	if code != tool.Interrupted {
		t.Errorf("%d: %s", code, out.String())
	}
}
