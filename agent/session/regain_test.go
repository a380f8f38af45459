package session_test

import (
	"os"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent/client"
)

// The database is gone, the server away for an hour: the device comes back to
// the same link without a pairing.
func TestALostLinkIsFetchedAgain(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.stop()
		if err := os.Remove(h.path); err != nil {
			h.Fatal(err)
		}
		h.cloud.failing(status(503))
		h.run()
		h.sleep(time.Hour)
		h.expect(client.PairNone)
		h.cloud.failing(nil)
		h.sleep(2 * time.Minute)
		if got := h.linked(); got != link {
			h.Errorf("another link: %v", got)
		}
		if len(h.db.Lost()) != 0 || len(h.downs) != 2 {
			h.Errorf("%v is lost, put in force %d times", h.db.Lost(), len(h.downs))
		}
		h.token(link, 0)
		h.restart()
		h.linked()
	})
}

// The pairing was ended while the database was gone: what is left goes too.
func TestALostLinkThatWasEnded(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.pair()
		h.stop()
		if err := os.Remove(h.path); err != nil {
			h.Fatal(err)
		}
		h.server.Revoke()
		h.run()
		h.sleep(time.Minute)
		h.expect(client.PairNone)
		h.restart()
		if lost := h.db.Lost(); len(lost) != 0 {
			h.Errorf("%v is lost", lost)
		}
		h.pair()
	})
}
