package agent_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent"
	"github.com/cardea-id/cardea/internal/config"
)

func TestConfigFile(t *testing.T) {
	var c agent.Config
	if err := config.Load("../deploy/agent.toml", &c); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	text := `
issuer = "https://id.example"
post_after = "90s"
max_interval = "2h"
log_level = "warn"
`
	c = agent.Config{}
	if err := config.Parse(text, &c); err != nil || c.PostAfter != 90*time.Second || c.MaxInterval != 2*time.Hour || c.LogLevel != slog.LevelWarn {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{`isuer = "x"`, `issuer = 1`, `log_level = "loud"`, `post_after = "soon"`, `[device]`} {
		if err := config.Parse(bad, new(agent.Config)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if err := config.Parse(`isuer = "x"`, new(agent.Config)); !errors.Is(err, config.ErrUnknownKey) {
		t.Error(err)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, bad := range []agent.Config{
		{}, {Issuer: "id.example.com"}, {Issuer: "https://"}, {Issuer: "https://user@id.example.com"},
		{Issuer: "https://id.example.com?x=1"}, {Issuer: "https://id.example.com#x"}, {Issuer: "://"},
		{Issuer: "https://id.example.com", ConnectTo: ":443"}, {Issuer: "https://id.example.com", MaxInterval: -time.Second},
		{Issuer: "https://id.example.com", RentFor: time.Millisecond}, {Issuer: "https://id.example.com", RentFor: -time.Hour},
		{Issuer: "https://id.example.com", PowerUpRest: -time.Second},
	} {
		if err := bad.Check(); !errors.Is(err, agent.ErrConfig) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := (agent.Config{Issuer: "https://id.example.com/base"}).Check(); err != nil {
		t.Error(err)
	}
}
