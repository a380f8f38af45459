package stage

import "text/template"

var cloudConfig = template.Must(template.New("cloud.toml").Parse(`issuer = "{{.Issuer}}"
listen = "{{.Listen}}"
mqtt_listen = "{{.MQTT}}"
mqtt_url = "{{.MQTTURL}}"
data_dir = "{{.Data}}"
{{with .Database}}database = "{{.}}"{{end}}
{{with .Broker}}broker = "{{.}}"{{end}}
catalogue = "{{.Catalogue}}"
{{.More}}
{{with .CodeLife}}code_life = "{{.}}"{{end}}
{{if .TLS}}tls_cert = "{{.Cert}}"
tls_key = "{{.CertKey}}"{{end}}
anchors = [{{range .Anchors}}"{{.}}", {{end}}]

[[admin_keys]]
name = "stage"
sha256 = "{{.Key}}"

[[clients]]
id = "cardea-agent"
{{.Clients}}
`))

var agentConfig = template.Must(template.New("agent.toml").Parse(`issuer = "{{.Issuer}}"
connect_to = "{{.Connect}}"
state_dir = "{{.State}}"
run_dir = "{{.Run}}"
socket = "{{.Socket}}"
socket_group = "{{.Group}}"
apps_dir = "{{.Apps}}"
{{with .Scope}}scope = "{{.}}"{{end}}
{{with .CAFile}}ca_file = "{{.}}"{{end}}
device_kind = "{{.Kind}}"
device_model = "Model One"
device_serial = "4711"
`))

var programConfig = template.Must(template.New("program.toml").Parse(`name = "{{.Name}}"
user = "{{.UID}}"
entitlements = [{{range .Entitlements}}"{{.}}", {{end}}]
purposes = ["*"]
audiences = ["*"]
preferences = ["*"]
`))

// entitlements are everything a program may ask for.
var entitlements = []string{"pair", "decide", "token", "prefs", "consent.read", "consent.write", "events", "people", "admin"}
