// Command page is what `make page` runs: a writer of a page of answers is
// stopped after every single instruction of a publish, and killed thousands of
// times in the middle of one, and the page must say the old or the new, whole.
// The C client reads it, built by several compilers for several machines.
//
// With -writer it is the writer.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
)

func main() {
	kills := flag.Int("kills", 10_000, "how often the writer is killed")
	client := flag.String("client", "agent/client/c", "folder of the C client")
	source := flag.String("source", "internal/torture/page/testdata", "folder of step.c")
	cross := flag.Bool("cross", true, "also other compilers and machines")
	writer := flag.Int("writer", 0, "be a writer of so many publishes, -1 for no end, and mark each with signals if there is an end")
	flag.Parse()
	if *writer != 0 {
		// The one thread that a tracer follows is the first.
		runtime.LockOSThread()
		exit(write(*writer))
	}
	exit(run(*kills, *client, *source, *cross))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
