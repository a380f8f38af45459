package cloud

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	// publishEvery is how often it is asked whether the key list grows old.
	publishEvery = 12 * time.Hour
	// wishEvery is how soon a rotation is noticed that is wished for by a file of
	// this name, and the key's, in the data folder.
	wishEvery = time.Second
	wishFile  = "rotate-"
	wishLimit = 20 * time.Second
)

// rotations are the keys that can be rotated.
var rotations = map[string]func(context.Context, *token.Keys) error{
	"statement": func(ctx context.Context, k *token.Keys) error { return k.RotateStatement(ctx, time.Now()) },
	"token":     func(ctx context.Context, k *token.Keys) error { return k.Rotate(ctx) },
}

// publishKeys has a list signed that will count for long and names the anchors
// of the configuration.
func (c *cloud) publishKeys(ctx context.Context) error {
	anchors, err := c.config.anchors()
	if err != nil {
		return err
	}
	if err := c.keys.Publish(ctx, anchors, time.Now()); err != nil {
		return err
	}
	c.log.InfoContext(ctx, "key list", "root_pin", jose.Thumbprint(c.keys.RootPublic()), "anchors", len(anchors))
	return nil
}

// watchKeys does the rotations that are wished for, and keeps the list young.
func (c *cloud) watchKeys(ctx context.Context) {
	wish, publish := time.NewTicker(wishEvery), time.NewTicker(publishEvery)
	defer wish.Stop()
	defer publish.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-wish.C:
			err = c.grantWishes(ctx)
		case <-publish.C:
			err = c.publishKeys(ctx)
		}
		if err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "keys not kept up", "err", err)
		}
	}
}

// grantWishes rotates, and then takes the wish away: after a crash in between it
// is granted twice, which does no harm.
func (c *cloud) grantWishes(ctx context.Context) error {
	for which := range rotations {
		path := filepath.Join(c.config.DataDir, wishFile+which)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := rotate(ctx, c.db, c.keys, which, c.log); err != nil {
			return err
		}
		c.broker.Tell(toldKeys, nil)
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// sendKeys answers the key list. It proves itself, so it is for everybody, and
// may come over a connection that nobody can vouch for any more.
func (c *cloud) sendKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/cose") // RFC 9052, Section 10
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(c.keys.KeyList()) // the device is gone if this fails
}

// anchors reads the certificates, in DER.
func (c Config) anchors() (list [][]byte, err error) {
	for _, file := range c.Anchors {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("anchors: %w", err)
		}
		had := len(list)
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				continue
			}
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("anchors: %s: %w", file, err)
			}
			list = append(list, block.Bytes)
		}
		if len(list) == had {
			return nil, fmt.Errorf("anchors: no certificate in %s", file)
		}
	}
	return list, nil
}

// Rotate makes a new key: which is "statement", that signs what devices are told,
// or "token", that signs access tokens. The one before is good for what it has
// signed until the next rotation. A cloud that runs is asked to do it, by a file
// in its data folder, and waited for.
func Rotate(ctx context.Context, c Config, which string, log *slog.Logger) error {
	if rotations[which] == nil {
		return fmt.Errorf("there is no key %.20q: say statement or token", which)
	}
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := c.hasRun(); err != nil {
		return err
	}
	db, err := c.openDatabase(ctx)
	if errors.Is(err, accountdb.ErrLocked) {
		return wish(ctx, filepath.Join(c.DataDir, wishFile+which))
	}
	if err != nil {
		return err
	}
	defer db.Close()
	keys, err := token.Open(ctx, c.Issuer, db.Secrets())
	if err != nil {
		return err
	}
	return rotate(ctx, db, keys, which, log)
}

func rotate(ctx context.Context, db *accountdb.DB, keys *token.Keys, which string, log *slog.Logger) error {
	if err := rotations[which](ctx, keys); err != nil {
		return err
	}
	log.InfoContext(ctx, "key rotated", "key", which)
	return db.Update(ctx, func(tx *accountdb.Tx) error {
		return tx.Audit(cardea.AccountID{}, "operator", "key rotated", which)
	})
}

// wish asks the running cloud and waits until it has done it. A wish that is not
// granted in time is taken back.
func wish(ctx context.Context, path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return fmt.Errorf("ask the running cloud: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wishLimit)
	defer cancel()
	for {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("the running cloud did not rotate the key: see its log"), os.Remove(path))
		case <-time.After(wishEvery / 10):
		}
	}
}
