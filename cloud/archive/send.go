package archive

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Send answers a request with an archive, as it is written. An error is returned
// while nothing was sent. After that it is logged and the connection ends, so that
// whoever loads the file is told that it is not whole.
func Send(ctx context.Context, w http.ResponseWriter, log *slog.Logger, write func(io.Writer) error) error {
	out := &sending{w: w}
	err := write(out)
	if err == nil || !out.begun {
		return err
	}
	if ctx.Err() == nil { // else its receiver has gone
		log.ErrorContext(ctx, "archive not written", "err", err)
	}
	panic(http.ErrAbortHandler)
}

// sending sends the header with the first bytes.
type sending struct {
	w     http.ResponseWriter
	begun bool
}

func (s *sending) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/zip")
		s.w.Header().Set("Content-Disposition", `attachment; filename="`+Name(time.Now())+`"`)
		s.w.Header().Set("Cache-Control", "no-store")
	}
	return s.w.Write(b)
}
