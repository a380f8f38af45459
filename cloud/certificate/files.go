package certificate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// lookEvery is how soon new files are noticed. They are read each time: what a
// link or a mounted volume does to the times of files is no matter then.
const lookEvery = 3 * time.Second

// Files is a certificate and its key in PEM files. It is safe for concurrent use.
type Files struct {
	cert, key string
	names     []string
	log       *slog.Logger
	shown     atomic.Pointer[tls.Certificate]

	used    [sha256.Size]byte // the texts of what is shown
	refused [sha256.Size]byte // and of what was last refused
	told    bool              // in the log
	warned  time.Time         // of the end
}

// Open reads the files, which must be for the names. One that does not count now
// is shown all the same, for nothing would be better without it.
func Open(cert, key string, names []string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, names: names, log: log}
	c, k, err := f.read()
	if err != nil {
		return nil, err
	}
	pair, err := parse(c, k, names)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", cert, key, err)
	}
	f.show(pair, digest(c, k))
	f.warn(time.Now())
	return f, nil
}

// Get is what tls.Config.GetCertificate wants.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.shown.Load(), nil }

// Challenges has nothing to answer: next answers everything.
func (f *Files) Challenges(next http.Handler) http.Handler { return next }

// Run looks for new files until ctx ends.
func (f *Files) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.look(now)
		}
	}
}

// look goes over to the pair that stands there now, if it is another one and can
// be used. A pair that can not is only complained about when it is seen again:
// one file may have been written and the other not yet.
func (f *Files) look(now time.Time) {
	defer f.warn(now)
	cert, key, err := f.read()
	sum := digest(cert, key)
	if err == nil && sum == f.used {
		f.refused, f.told = [sha256.Size]byte{}, false
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = parse(cert, key, f.names)
	}
	// The wrong way round is only what does not count beside what does.
	if err == nil && counts(f.shown.Load().Leaf, now) == nil {
		err = counts(pair.Leaf, now)
	}
	if err == nil {
		f.show(pair, sum)
		f.log.Info("new certificate", "ends", pair.Leaf.NotAfter, "serial", pair.Leaf.SerialNumber)
		return
	}
	if sum == f.refused && !f.told {
		f.log.Error("the new certificate is not used, the one before still is", "cert", f.cert, "key", f.key, "err", err)
		f.told = true
	}
	if sum != f.refused {
		f.refused, f.told = sum, false
	}
}

func (f *Files) show(pair *tls.Certificate, sum [sha256.Size]byte) {
	f.shown.Store(pair)
	f.used, f.refused, f.told, f.warned = sum, [sha256.Size]byte{}, false, time.Time{}
}

// warn tells once a day that the certificate has ended, or soon will, and the end
// itself at once.
func (f *Files) warn(now time.Time) {
	leaf := f.shown.Load().Leaf
	if now.Sub(f.warned) < 24*time.Hour && now.After(leaf.NotAfter) == f.warned.After(leaf.NotAfter) {
		return
	}
	if err := counts(leaf, now); err != nil {
		f.warned = now
		f.log.Error("nobody accepts the certificate", "cert", f.cert, "err", err)
		return
	}
	if left := leaf.NotAfter.Sub(now); left < soon {
		f.warned = now
		f.log.Warn("the certificate ends soon: renew it", "cert", f.cert, "ends", leaf.NotAfter)
	}
}

func (f *Files) read() (cert, key []byte, err error) {
	cert, err = os.ReadFile(f.cert)
	key, again := os.ReadFile(f.key)
	if err = errors.Join(err, again); err != nil {
		return nil, nil, fmt.Errorf("read certificate: %w: make both files readable for the cloud's user", err)
	}
	return cert, key, nil
}

func digest(cert, key []byte) [sha256.Size]byte {
	return sha256.Sum256(bytes.Join([][]byte{cert, key}, []byte{0}))
}
