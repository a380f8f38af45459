package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// seconds starts a second agent and a second cloud on the files of those that
// run, at addresses of their own. Both must end and say why.
func (k *killer) seconds(ctx context.Context) error {
	for program, change := range map[string]*strings.Replacer{
		"cardea-cloud": strings.NewReplacer(k.Listen, "127.0.0.1:0", k.MQTT, "127.0.0.1:0"),
		"cardea-agent": strings.NewReplacer(k.Agent.Socket, k.Agent.Socket+"2"),
	} {
		config := map[string]string{"cardea-cloud": filepath.Join(k.Dir, "cloud.toml"), "cardea-agent": filepath.Join(k.Agent.Dir, "agent.toml")}[program]
		text, err := os.ReadFile(config)
		if err != nil {
			return err
		}
		second := config + ".second"
		if err := os.WriteFile(second, []byte(change.Replace(string(text))), 0o600); err != nil {
			return err
		}
		if err := refused(ctx, filepath.Join(k.Bin, program), second); err != nil {
			return err
		}
		k.refused++
	}
	return nil
}

// refused is an error unless the program ends by itself, because another one has
// its files.
func refused(ctx context.Context, program, config string) error {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	said, err := exec.CommandContext(ctx, program, "-config", config).CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(said), "in use") {
		return fmt.Errorf("a second %s on the same files: %v: %s", filepath.Base(program), err, said)
	}
	return nil
}
