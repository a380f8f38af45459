package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/ingest"
	"github.com/cardea-id/cardea/cloud/webhook"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Ingest says where what devices collect is passed on to: Dir or Webhook.
type Ingest struct {
	// Dir is a folder for files with one event a line (NDJSON). It is made if it
	// is not there. See docs/events.md for when a file may be taken away.
	Dir string `toml:"dir"`
	// RotateMB and RotateAfter are from when on a file is finished. Default 16
	// and "1h".
	RotateMB    int           `toml:"rotate_mb"`
	RotateAfter time.Duration `toml:"rotate_after"`
	// Webhook is an address that each event is sent to, signed as Standard
	// Webhooks says. It is https, or on this machine.
	Webhook string `toml:"webhook"`
	// WebhookSecretFile has the secret that the receiver checks signatures with,
	// alone on a line; two lines while it is changed.
	WebhookSecretFile string `toml:"webhook_secret_file"`
	// Overtake is after how long a cloud passes on what another cloud of the same
	// database had begun to pass on and did not finish. Default "10m". What waits
	// for its turn any cloud passes on at once.
	Overtake time.Duration `toml:"overtake"`
}

const pathIngest = "/v1/ingest"

func (i Ingest) withDefaults() (Ingest, error) {
	switch {
	case (i.Dir == "") == (i.Webhook == ""):
		return i, errors.New("set dir or webhook: where is what devices collect passed on to?")
	case i.Webhook != "" && i.WebhookSecretFile == "":
		return i, errors.New("webhook_secret_file: name the file with the secret")
	case i.RotateMB < 0 || i.RotateAfter < 0 || i.Overtake < 0:
		return i, errors.New("rotate_mb, rotate_after and overtake: above 0")
	}
	if i.RotateMB == 0 {
		i.RotateMB = 16
	}
	if i.RotateAfter == 0 {
		i.RotateAfter = time.Hour
	}
	return i, nil
}

// openIngest opens where events go, if they go anywhere.
func (c *cloud) openIngest(context.Context) error {
	c.watchEvents()
	if c.config.Ingest == nil {
		return nil
	}
	node, err := c.config.node()
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	sink, err := c.sink(node)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	c.ingest = ingest.New(ingest.Config{DB: c.db, Ledger: c.ledger, Sink: sink, Node: node, Overtake: c.config.Ingest.Overtake, Metrics: c.metrics, Log: c.log})
	return nil
}

// erased has it told at once where the account's events went.
func (c *cloud) erased() {
	if c.ingest != nil {
		c.ingest.Wake()
	}
}

// watchEvents shows what waits for the brand. All clouds of a database show the
// same.
func (c *cloud) watchEvents() {
	waiting := func(f func(n int, oldest time.Duration) float64) func() float64 {
		return func() (value float64) {
			ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
			defer stop()
			err := c.db.View(ctx, func(tx *accountdb.Tx) error {
				n, since, err := tx.AllEventsWaiting()
				oldest := time.Duration(0)
				if n > 0 {
					oldest = max(tx.Millis().Sub(since), 0)
				}
				value = f(n, oldest)
				return err
			})
			if err != nil {
				return math.NaN() // which no alert takes for none
			}
			return value
		}
	}
	c.metrics.Watch("cardea_events_waiting", "Events that wait to be passed on, at all clouds of the database.", waiting(func(n int, _ time.Duration) float64 { return float64(n) }))
	c.metrics.Watch("cardea_events_oldest_seconds", "For how long the oldest of them has waited; 0 if none does.", waiting(func(_ int, oldest time.Duration) float64 { return oldest.Seconds() }))
}

// node names this cloud among those of one database, for as long as it keeps its
// folder: the machine's name may change, and two clouds may run on one machine.
func (c Config) node() (string, error) {
	if !c.onServer() {
		return "cloud", nil
	}
	path := filepath.Join(c.DataDir, "node")
	known, err := os.ReadFile(path)
	if err == nil && len(known) > 0 {
		return strings.TrimSpace(string(known)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	name := strings.ToLower(rand.Text()[:8])
	return name, os.WriteFile(path, []byte(name+"\n"), 0o600)
}

func (c *cloud) sink(node string) (ingest.Sink, error) {
	i := *c.config.Ingest
	if i.Dir != "" {
		if err := os.MkdirAll(i.Dir, 0o750); err != nil {
			return nil, err
		}
		return ingest.OpenFiles(i.Dir, node, int64(i.RotateMB)<<20, i.RotateAfter)
	}
	text, err := os.ReadFile(i.WebhookSecretFile)
	if err != nil {
		return nil, fmt.Errorf("webhook_secret_file: %w", err)
	}
	secrets, err := webhook.ParseSecrets(string(text))
	if err != nil {
		return nil, fmt.Errorf("webhook_secret_file: %w", err)
	}
	sender, err := webhook.New(i.Webhook, secrets, nil)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return ingest.Hook{Sender: sender}, nil
}
