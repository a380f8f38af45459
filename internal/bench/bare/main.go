// Command bare is the least that net/http can be: it takes a question on a Unix
// socket, reads it, and gives always the same answer. make bench compares the
// agent's own socket with it, built as the agent is and under the same bounds.
//
//	bare /path/of/the.sock
package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/cardea-id/cardea/agent/memory"
	"github.com/cardea-id/cardea/internal/command"
)

// answer has the length of one of the agent's.
const answer = `{"key":"recommendations/use","use":"collect","verdict":"allow","reason":"granted","left_ms":86399000,"link":"kZ2v7Q5nSgyLk0cXHq8b1A","generation":2310452813672501}
`

func main() {
	memory.Frugal()
	command.Main("bare", run)
}

func run(ctx context.Context, args []string, _, _ io.Writer) error {
	if len(args) != 1 {
		return errors.New("name a socket")
	}
	l, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(reply)}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func reply(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, answer)
}
