package cloud_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// member is a cloud of several, as it is configured before its first start.
func member(t *testing.T) cloud.Config {
	return cloud.Config{
		Issuer: "http://127.0.0.1:1", DataDir: t.TempDir(), Catalogue: "../testdata/catalogue.yaml",
		Database: accountdbtest.Address(t, t.TempDir()), Broker: "nats://127.0.0.1:1", MQTTURL: "tcp://127.0.0.1:1883",
	}
}

func brokerConfig(t *testing.T, c cloud.Config) (string, error) {
	t.Helper()
	var out strings.Builder
	err := cloud.BrokerConfig(t.Context(), c, "config", &out, slog.New(slog.DiscardHandler))
	return out.String(), err
}

// The configuration of the broker follows from the master key, and from nothing
// else.
func TestBrokerConfig(t *testing.T) {
	c, other := member(t), member(t)
	first, err := brokerConfig(t, c)
	if err != nil || !strings.Contains(first, "auth_callout") {
		t.Fatalf("%q, %v", first, err)
	}
	if second, err := brokerConfig(t, c); err != nil || second != first {
		t.Errorf("another one at the second time: %v", err)
	}
	if foreign, err := brokerConfig(t, other); err != nil || foreign == first {
		t.Errorf("the same with another master key: %v", err)
	}
	key, err := os.ReadFile(filepath.Join(c.DataDir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(first, strings.TrimSpace(string(key))) {
		t.Error("it holds the master key")
	}
	if err := os.WriteFile(filepath.Join(other.DataDir, "master.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if same, err := brokerConfig(t, other); err != nil || same != first {
		t.Errorf("another one from another cloud with the key: %v", err)
	}
}

func TestSeveralCloudsRefuse(t *testing.T) {
	run := func(c cloud.Config) error { return cloud.Run(t.Context(), c, slog.New(slog.DiscardHandler)) }
	era := func(c cloud.Config) error { return cloud.Era(t.Context(), c, "begin", slog.New(slog.DiscardHandler)) }
	copies := func(do func(context.Context, cloud.Config, string, *slog.Logger) error) func(cloud.Config) error {
		return func(c cloud.Config) error { return do(t.Context(), c, "copy", slog.New(slog.DiscardHandler)) }
	}
	for name, test := range map[string]struct {
		spoil func(*cloud.Config)
		do    func(cloud.Config) error
		want  string
	}{
		"a file that is called":  {func(c *cloud.Config) { c.Database = "/var/lib/cloud.db" }, run, "postgres://"},
		"a broker, and a file":   {func(c *cloud.Config) { c.Database = "" }, run, "set database as well"},
		"devices told of nobody": {func(c *cloud.Config) { c.MQTTURL = "" }, run, "mqtt_url"},
		"no broker there":        {func(c *cloud.Config) {}, run, "broker"},
		"no server there":        {func(c *cloud.Config) { c.Database = "postgres://nobody@127.0.0.1:1/none" }, run, "database server"},
		"backup":                 {func(*cloud.Config) {}, copies(cloud.Backup), "pg_dump"},
		"restore":                {func(*cloud.Config) {}, copies(cloud.Restore), "pg_restore"},
		"an era without its key": {func(*cloud.Config) {}, era, "put"},
		"an era of a file":       {func(c *cloud.Config) { c.Database, c.Broker = "", "" }, era, "cardea-cloud restore"},
	} {
		c := member(t)
		test.spoil(&c)
		if err := test.do(c); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
}

// A cloud that has lost the key, or never had it, makes none beside a database
// that others use.
func TestNoSecondMasterKey(t *testing.T) {
	c := member(t)
	db, err := accountdb.OpenServer(t.Context(), c.Database, filepath.Join(t.TempDir(), "stops"), accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Secrets().Secret(t.Context(), "one", func() []byte { return []byte("secret") })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := brokerConfig(t, c); err == nil || !strings.Contains(err.Error(), "take it from another") {
		t.Errorf("without the key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, "master.key")); err == nil {
		t.Error("a second key was made")
	}
}
