package cloud

import (
	"cmp"
	"fmt"

	"github.com/cardea-id/cardea/cloud/provider"
)

// Check reports what can not work, as far as the configuration itself says it.
// Files it names are read when the cloud starts.
func (c Config) Check() error {
	_, err := c.checked()
	return err
}

// checked is the configuration with its defaults, from which every part can be
// made: nothing is touched by a cloud that could not run.
func (c Config) checked() (Config, error) {
	c, err := c.withDefaults()
	if err == nil {
		err = c.checkParts()
	}
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

func (c Config) checkParts() error {
	unread := func(string) (provider.Secret, error) { return "", nil }
	_, providers := c.providers(unread)
	_, proxies := c.forwarding()
	_, servers := c.resourceServers()
	_, keys := c.adminKeys()
	_, policy := c.policy()
	return cmp.Or(providers, proxies, servers, keys, policy)
}
