package cloud_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/cloud/mail/mailtest"
)

// A cloud that is configured with a mail server sends a code to who registers, and
// has passkeys, because its issuer has a name.
func TestMailFromTheConfiguration(t *testing.T) {
	post := mailtest.Start(t)
	c := config(t)
	c.Issuer = strings.Replace(c.Issuer, "127.0.0.1", "localhost", 1)
	c.Mail = &cloud.Mail{URL: post.URL(), From: "Hearth <hello@hearth.example>"}
	start(t, c)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	page := get(t, client, c.Issuer+"/register")
	if !strings.Contains(get(t, client, c.Issuer+"/signin"), "data-use=") {
		t.Error("no passkey is asked for")
	}
	token := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil || strings.Contains(page, `name="password"`) {
		t.Fatalf("no form for a name and an address:\n%s", page)
	}
	r, err := client.PostForm(c.Issuer+"/register", url.Values{"form": {token[1]}, "name": {"Ada"}, "email": {"ada@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if code := post.To(t, "ada@example.com").Code(); len(code) != 6 || r.StatusCode != http.StatusOK {
		t.Errorf("code %q, status %d", code, r.StatusCode)
	}
}

func get(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	r, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What can not work is told at the start, with where it stands.
func TestMailThatCanNotWork(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*cloud.Config){
		"mail: url":           func(c *cloud.Config) { c.Mail = &cloud.Mail{URL: "mail.example.com", From: "a@example.com"} },
		"mail: from":          func(c *cloud.Config) { c.Mail = &cloud.Mail{URL: "smtp://mail.example.com"} },
		"mail: password_file": func(c *cloud.Config) { c.Mail = &cloud.Mail{URL: "smtp://u@mail.example.com", PasswordFile: empty} },
		"mail: ca_file": func(c *cloud.Config) {
			c.Mail = &cloud.Mail{URL: "smtp://mail.example.com", From: "a@example.com", CAFile: empty}
		},
		"sign_in: verified": func(c *cloud.Config) { c.SignIn.Verified = []string{"everything"} },
	} {
		c := config(t)
		change(&c)
		if err := cloud.Run(context.Background(), c, quiet()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to name %s", err, want)
		}
	}
}
