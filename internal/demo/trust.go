package demo

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// trustNote tells how to have a phone or this computer trust the authority of this
// run. It can vouch for nothing but this machine, and its key is gone at the end.
func (d *demo) trustNote() string {
	print := d.stage.Authority.Fingerprint()
	if d.gift == "" {
		return fmt.Sprintf(trustHere, d.stage.CAFile)
	}
	half := len(print)/2 + 1
	return fmt.Sprintf(trustPhone, d.gift, print[:half], print[half:], d.stage.Host)
}

const trustHere = `
  The certificate is by an authority made for this run. This computer's browser
  warns of it, once; programs can be told of it:
    curl --cacert %s …
`

const trustPhone = `
  The certificate is by an authority made for this run. To trust it on a phone,
  open there          %s
    iPhone   allow the download; Settings, Profile Downloaded, Install; then
             General, About, Certificate Trust Settings: switch it on
    Android  save it; Settings, search "CA certificate", Install, choose the file
  and compare         %s
                      %s
  It can vouch for %s alone. Remove it from the phone afterwards.
`

// A gift hands the authority's certificate to phones, without TLS, which they can
// not speak with us before they have it. They can compare its fingerprint.
type gift struct {
	server *http.Server
	done   chan struct{}
}

// giveAuthority begins to hand it out at an address phones can reach.
func (d *demo) giveAuthority() (*gift, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(d.stage.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("hand out the authority's certificate: %w", err)
	}
	d.gift = "http://" + l.Addr().String() + "/ca.crt"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ca.crt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		w.Write(d.stage.Authority.DER()) // the phone is gone if this fails
	})
	g := &gift{server: &http.Server{Handler: mux, ReadTimeout: 5 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.server.Serve(l) // until Close
	}()
	return g, nil
}

// Close hands it out no more.
func (g *gift) Close() {
	g.server.Close()
	<-g.done
}
