package cloud

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/broker"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// always is a session that never ends.
type always struct {
	desk.Sessions
	account cardea.AccountID
}

func (s always) Session(context.Context, cardea.Hash) (accountdb.Session, error) {
	return accountdb.Session{Account: s.account}, nil
}

// TestPageHearsOfAnotherCloud: what one cloud tells reaches the pages at another,
// by a name that is not the account's.
func TestPageHearsOfAnotherCloud(t *testing.T) {
	b, err := broker.New(broker.Config{MQTTAddr: "127.0.0.1:0", Verify: (&cloud{}).mayConnect})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	here := &cloud{broker: b, live: new(desk.Live), config: Config{Database: "postgres://db.example/cardea"}}
	there := &cloud{broker: b, live: new(desk.Live)}
	if err := b.OnTold(toldChanged, there.onChanged); err != nil {
		t.Fatal(err)
	}
	account := cardea.NewID[cardea.AccountID]()
	d := desk.New(&url.URL{Scheme: "http", Host: "cardea.test"}, brand.Brand{}, always{account: account}, nil, nil)
	d.Live = there.live
	server := httptest.NewServer(http.HandlerFunc(d.Stream))
	t.Cleanup(server.Close)
	t.Cleanup(d.Live.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "cardea_session", Value: strings.Repeat("A", 43)})
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	there.onChanged([]byte("no name of a stream"))
	here.changed(account)
	said := ""
	for buf := make([]byte, 256); !strings.Contains(said, "event: changed"); {
		n, err := res.Body.Read(buf)
		if said += string(buf[:n]); err != nil {
			t.Fatalf("said %q: %v", said, err)
		}
	}
}
