package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cardea-id/cardea"

// floors is the house from the roof down. A package imports only from floors
// below its own; those that share a line are neighbours and may import what the
// line says. Change a floor here, and say why in docs/decisions.
var floors = [][]string{
	{"cmd/cardea", "cmd/cardea-agent", "cmd/cardea-cloud", "internal/e2e", "internal/interop", "internal/torture/vm", "internal/torture/kill", "internal/torture/sectors", "internal/torture/page", "internal/idle", "internal/bench/bare", "internal/smallheap", "internal/looks"},
	{"internal/tool"},
	{"internal/demo", "internal/torture/house"},
	{"internal/stage"},
	{"agent", "cloud"},
	{"cloud/portal/portaltest"},
	{"agent/localapi", "cloud/portal", "cloud/admin"},
	{"cloud/portal/entry", "cloud/portal/pairs", "cloud/portal/choices", "cloud/portal/preferences", "cloud/portal/devices", "cloud/portal/leaving"}, // rooms do not know each other
	{"cloud/portal/desk"},
	{"cloud/portal/brand"},
	{"cloud/archive"},
	{"agent/events", "agent/syncer", "agent/session", "agent/notices", "agent/checkup", "cloud/hub", "cloud/ingest", "cloud/receipt"},
	{"agent/gate", "agent/page", "agent/keys", "agent/tlsclock", "agent/programs", "agent/client", "cloud/ledger", "cloud/broker", "cloud/health", "cloud/metrics", "cloud/clock", "cloud/token", "cloud/webhook", "cloud/certificate", "cloud/provider/providertest", "cloud/passkey/passkeytest", "agent/memory"},
	{"cloud/catalogue", "cloud/provider", "cloud/passkey", "cloud/mail", "cloud/mail/mailtest", "cloud/language", "cloud/password", "cloud/throttle"},
	{"store/devicedb/devicedbtest", "store/accountdb/accountdbtest"},
	{"store/devicedb", "store/accountdb", "pairing/issuer", "pairing/qr/qrtest", "pairing/pairingtest"},
	{"pairing/qr", "store/stopjournal"},
	{"pairing"},
	{"internal/wire/vectors"},
	{"internal/wire", "internal/mqttlink", "internal/owner"},
	{"internal/jose", "internal/web", "internal/config", "internal/ci", "internal/rows", "internal/figures", "internal/arch", "internal/postgrestest", "internal/openapi", "internal/authority", "internal/browser/browsertest", "internal/command", "internal/listentest", "store/slots"},
	{"internal/browser", "internal/musts", "internal/disk"},
	{""},
}

// owners lists who may import a third-party module; tests may import any.
var owners = map[string][]string{
	"github.com/BurntSushi/toml":          {"internal/config"},
	"github.com/chromedp/cdproto":         {"internal/browser"}, // for tests
	"github.com/chromedp/chromedp":        {"internal/browser"}, // for tests
	"github.com/coreos/go-oidc/v3":        {"cloud/provider"},
	"github.com/descope/virtualwebauthn":  {"cloud/passkey/passkeytest"},
	"github.com/eclipse/paho.mqtt.golang": {"internal/mqttlink"},
	"github.com/fxamacker/cbor/v2":        {"internal/wire"},
	"github.com/getkin/kin-openapi":       {"internal/openapi"}, // for tests
	"github.com/go-jose/go-jose/v4":       {"internal/jose"},
	"github.com/go-webauthn/webauthn":     {"cloud/passkey"},
	"github.com/jackc/pgx/v5":             {"store/accountdb"},
	"github.com/makiuchi-d/gozxing":       {"pairing/qr/qrtest"},
	"github.com/nats-io/jwt/v2":           {"cloud/broker"},
	"github.com/nats-io/nats-server/v2":   {"cloud/broker"},
	"github.com/nats-io/nats.go":          {"cloud/broker"},
	"github.com/nats-io/nkeys":            {"cloud/broker"},
	"github.com/nicksnyder/go-i18n/v2":    {"cloud/language"},
	"github.com/prometheus/client_golang": {"cloud/metrics"},
	"github.com/skip2/go-qrcode":          {"pairing/qr"},
	"github.com/veraison/go-cose":         {"internal/wire"},
	"github.com/wneessen/go-mail":         {"cloud/mail"},
	"go.etcd.io/bbolt":                    {"store/devicedb", "store/devicedb/devicedbtest"},
	"go.yaml.in/yaml/v3":                  {"cloud/catalogue"},
	"golang.org/x/crypto":                 {"cloud/password", "cloud/certificate"},       // argon2; acme
	"golang.org/x/net":                    {"internal/owner", "cloud/portal/portaltest"}, // its HTML, to use pages as people do
	"golang.org/x/oauth2":                 {"cloud/provider", "internal/interop"},        // there a foreign client that must pair
	"golang.org/x/sys":                    {"*"},                                         // system calls, where they are made
	"golang.org/x/term":                   {"internal/tool"},
	"golang.org/x/text":                   {"cloud/language"},
	"modernc.org/sqlite":                  {"store/accountdb"},
}

// notInAgent is what a device has no room for.
var notInAgent = []string{
	"database/sql", "html/template", "text/template", "regexp", "encoding/gob", "modernc.org/", "github.com/nats-io/", "go.yaml.in/",
	"github.com/makiuchi-d/", module + "/cloud", module + "/store/accountdb", module + "/pairing/issuer",
}

// A pkg is what go list says of one package.
type pkg struct {
	ImportPath   string
	Dir          string
	Doc          string
	Imports      []string
	TestGoFiles  []string
	XTestGoFiles []string
	GoFiles      []string
	Deps         []string
	Module       *struct{ Path string }
}

// list runs go list at the top of the module.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// name is a package's path within the module; the root's is empty.
func name(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// floorOf is how far down a package is, or -1.
func floorOf(name string) int {
	return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, name) })
}

func TestImportsOnlyGoDown(t *testing.T) {
	for _, p := range list(t, "./...") {
		from := name(p.ImportPath)
		if floorOf(from) < 0 {
			t.Errorf("%s has no floor: give it one in floors_test.go", from)
			continue
		}
		for _, path := range p.Imports {
			to := name(path)
			if strings.HasPrefix(path, module) && floorOf(to) <= floorOf(from) {
				t.Errorf("%s imports %s, which is not below it", from, to)
			}
		}
	}
}

func TestAgentAndCloudAreStrangers(t *testing.T) {
	for _, p := range list(t, "./agent/...", "./cloud/...") {
		other := map[string]string{"agent": "cloud", "cloud": "agent"}[strings.SplitN(name(p.ImportPath), "/", 2)[0]]
		for _, path := range p.Deps {
			if to := name(path); strings.HasPrefix(path, module) && (to == other || strings.HasPrefix(to, other+"/")) {
				t.Errorf("%s depends on %s", name(p.ImportPath), to)
			}
		}
	}
}

func TestRootIsStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, "-deps", ".") {
		if p.Module != nil && p.Module.Path != module {
			t.Errorf("the root package depends on %s", p.ImportPath)
		}
	}
}

func TestEveryModuleHasOneOwner(t *testing.T) {
	used := map[string]bool{}
	modules := moduleOf(t)
	for _, p := range list(t, "./...") {
		for _, path := range p.Imports {
			third, ok := modules[path]
			if !ok || third == module {
				continue
			}
			used[third] = true
			if who := owners[third]; !slices.Contains(who, name(p.ImportPath)) && !slices.Contains(who, "*") {
				t.Errorf("%s imports %s, which belongs to %v", name(p.ImportPath), third, who)
			}
		}
	}
	for third := range owners {
		if !used[third] {
			t.Errorf("%s has an owner and no user: take it out", third)
		}
	}
}

// moduleOf says which module a package outside the standard library is of.
func moduleOf(t *testing.T) map[string]string {
	t.Helper()
	of := map[string]string{}
	for _, p := range list(t, "-deps", "./...") {
		if p.Module != nil {
			of[p.ImportPath] = p.Module.Path
		}
	}
	return of
}

func TestEveryPackageHasACommentAndTests(t *testing.T) {
	for _, p := range list(t, "./...") {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", name(p.ImportPath))
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			t.Errorf("%s has no tests", name(p.ImportPath))
		}
	}
}

func TestNoTestSkips(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{".Skip" + "(", ".Skip" + "f(", ".Skip" + "Now("} {
				if strings.Contains(string(text), word) {
					t.Errorf("%s skips: a test that can not run is a failure", file)
				}
			}
		}
	}
}
