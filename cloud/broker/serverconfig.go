package broker

import (
	"strings"
	"text/template"
)

// ServerConfig is the configuration of a nats-server that the clouds with this
// secret use, to be completed with the addresses of the place: it asks the clouds
// who gets in, and lets them see who is there. It holds passwords.
func ServerConfig(secret []byte) (string, error) {
	s := secrets{secret}
	issuer, err := s.issuer()
	if err != nil {
		return "", err
	}
	public, err := issuer.PublicKey()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = serverConfig.Execute(&out, map[string]any{
		"Cloud": cloudAccount, "System": systemAccount, "CloudUser": ownUser, "SystemUser": systemUser,
		"CloudPassword": s.password(ownUser), "SystemPassword": s.password(systemUser), "Issuer": public,
	})
	return out.String(), err
}

var serverConfig = template.Must(template.New("nats.conf").Parse(`# Who may connect, and what: the same on every server. It holds passwords. Put it
# beside a file with what is each server's own, which includes it; see
# docs/cluster.md.
accounts {
  {{.Cloud}} { jetstream: enabled, users: [{user: "{{.CloudUser}}", password: "{{.CloudPassword}}"}] }
  {{.System}} { users: [{user: "{{.SystemUser}}", password: "{{.SystemPassword}}"}] }
}
system_account: {{.System}}
authorization {
  timeout: 5
  auth_callout { issuer: {{.Issuer}}, account: {{.Cloud}}, auth_users: ["{{.CloudUser}}", "{{.SystemUser}}"] }
}
max_payload: 32KB
max_pending: 8MB
write_deadline: "4s"
# A cloud that stands still is given up, and asked nothing more.
ping_interval: "10s"
ping_max: 2
no_fast_producer_stall: true
`))
