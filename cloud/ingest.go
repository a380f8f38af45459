package cloud

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/ingest"
	"github.com/cardea-id/cardea/cloud/webhook"
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
}

const pathIngest = "/v1/ingest"

func (i Ingest) withDefaults() (Ingest, error) {
	switch {
	case (i.Dir == "") == (i.Webhook == ""):
		return i, errors.New("set dir or webhook: where is what devices collect passed on to?")
	case i.Webhook != "" && i.WebhookSecretFile == "":
		return i, errors.New("webhook_secret_file: name the file with the secret")
	case i.RotateMB < 0 || i.RotateAfter < 0:
		return i, errors.New("rotate_mb and rotate_after: above 0")
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
	if c.config.Ingest == nil {
		return nil
	}
	node, err := c.config.clockName()
	if err != nil {
		return err
	}
	if node = strings.TrimSpace(node); node == "" {
		node = "cloud"
	}
	sink, err := c.sink(node)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	c.ingest = ingest.New(ingest.Config{DB: c.db, Ledger: c.ledger, Sink: sink, Node: node, Log: c.log})
	return nil
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
