package localapi_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Who promises a body and does not send it loses the connection soon, whatever
// became of the request: a call that reads it, one that may not be made, one
// that takes none, and one that is for nobody.
func TestABodyThatNeverComes(t *testing.T) {
	t.Parallel()
	known := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [\"decide\"]\npurposes = [\"*\"]", os.Getuid()))
	strange := newHouse(t, "name = \"p\"\nuser = \"54321\"")
	var all sync.WaitGroup
	for _, test := range []struct {
		h             *house
		call, headers string
		status        string
	}{
		{known, "POST /v1/decide", "Content-Type: application/json\r\nContent-Length: 40", "400"},
		{known, "POST /v1/decide", "Content-Type: application/json\r\nTransfer-Encoding: chunked", "400"},
		{known, "POST /v1/token", "Content-Type: application/json\r\nContent-Length: 40", "403"},
		{known, "GET /v1/status", "Content-Length: 40", "400"},
		{known, "POST /v1/none", "Content-Length: 40", "404"},
		{known, "POST /v1/decide", "Origin: null\r\nContent-Length: 40", "403"},
		{strange, "POST /v1/decide", "Content-Length: 40", "403"},
	} {
		all.Go(func() {
			conn, err := net.Dial("unix", test.h.socket)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: cardea\r\n%s\r\n\r\n", test.call, test.headers)
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+test.status) {
				t.Errorf("%s with %q: %.60q, %v", test.call, test.headers, answer, err)
			}
		})
	}
	all.Wait()
}
