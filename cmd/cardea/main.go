// Command cardea is the tool of operators and tinkerers: cardea help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/cardea-id/cardea/internal/tool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := tool.Run(ctx, os.Args[1:], tool.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv})
	stop()
	os.Exit(code)
}
