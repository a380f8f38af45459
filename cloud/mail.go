package cloud

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"

	"github.com/cardea-id/cardea/cloud/mail"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// Mail says which server takes letters to owners: codes to sign in with, and what
// they should hear of.
type Mail struct {
	// URL is the server: "smtp://user@mail.example.com:587", with STARTTLS, or
	// "smtps://user@mail.example.com:465". Required.
	URL string `toml:"url"`
	// From is the sender, such as "Hearth <hello@example.com>". Required.
	From string `toml:"from"`
	// PasswordFile has the user's password, alone in the file.
	PasswordFile string `toml:"password_file"`
	// CAFile names the PEM certificates that vouch for the server. Default: those
	// of the system.
	CAFile string `toml:"ca_file"`
}

// SignIn says how sure the cloud must be of an owner.
type SignIn struct {
	// Verified are the acts for which a passkey, or two methods of different kinds,
	// are needed: "pairing", "erase", "export", "ways" (adding or removing a way to
	// sign in). Default: none; the strongest method an owner has is asked anyway.
	Verified []string `toml:"verified"`
	// Terms is the address of your terms, which whoever registers accepts. Default:
	// there are none.
	Terms string `toml:"terms"`
}

// openMail makes what sends letters, if there is a server.
func (c *cloud) openMail() error {
	m := c.config.Mail
	if m == nil {
		return nil
	}
	secret, err := secretFile(m.PasswordFile)
	if err != nil {
		return fmt.Errorf("mail: password_file: %w", err)
	}
	var roots *x509.CertPool
	if m.CAFile != "" {
		text, err := os.ReadFile(m.CAFile)
		if err != nil {
			return fmt.Errorf("mail: ca_file: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("mail: ca_file: no certificate in %s", m.CAFile)
		}
	}
	c.mailer, err = mail.New(mail.Config{URL: m.URL, Password: mail.Secret(secret), From: m.From, Roots: roots,
		Done: func(r mail.Result) { c.metrics.Letter(string(r)) }, Looked: c.metrics.Letters, DB: c.db, Log: c.log})
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

// sendMail has letters looked for; nil if none can be sent.
func (c *cloud) sendMail() func() {
	if c.mailer == nil {
		return nil
	}
	return c.mailer.Wake
}

// policy is what the brand asks of sessions.
func (c Config) policy() (p desk.Policy, err error) {
	for _, name := range c.SignIn.Verified {
		act := desk.Act(name)
		if !slices.Contains([]desk.Act{desk.Pairing, desk.Erase, desk.Export, desk.Ways}, act) {
			return p, fmt.Errorf("sign_in: verified: there is no act %.40q: say pairing, erase, export or ways", name)
		}
		p.Verified = append(p.Verified, act)
	}
	return p, nil
}
