package cloud

import (
	"fmt"
	"os"
	"strings"

	"github.com/cardea-id/cardea/cloud/provider"
)

// providers are where owners can sign in with an account they have. secret reads
// the file of one's secret.
func (c Config) providers(secret func(path string) (provider.Secret, error)) ([]*provider.Provider, error) {
	var all []*provider.Provider
	seen := map[string]bool{}
	for _, entry := range c.Providers {
		known, err := secret(entry.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("providers: %q: client_secret_file: %w", entry.ID, err)
		}
		p, err := provider.New(provider.Config{
			ID: entry.ID, Name: entry.Name, Issuer: entry.Issuer, ClientID: entry.ClientID, ClientSecret: known,
			Redirect: c.Issuer + "/signin/with/" + entry.ID + "/back",
		})
		if err != nil {
			return nil, fmt.Errorf("providers: %w", err)
		}
		if entry.Name == "" || seen[entry.ID] {
			return nil, fmt.Errorf("providers: %q: give each a name and an id of its own", entry.ID)
		}
		seen[entry.ID] = true
		all = append(all, p)
	}
	return all, nil
}

// secretFile reads a secret that stands alone in a file, so that it stands in no
// configuration.
func secretFile(path string) (provider.Secret, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", fmt.Errorf("%s is empty: put the secret in it", path)
	}
	return provider.Secret(secret), nil
}
