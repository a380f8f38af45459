package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
)

// A provider is somebody else's sign-in, to which the owner's page leads on by
// itself. It answers that with nothing, so that the browser stays on the page.
func newProvider() *httptest.Server {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{ // the cloud is gone if this fails
			"issuer": server.URL, "authorization_endpoint": server.URL + "/authorize", "token_endpoint": server.URL + "/token",
			"jwks_uri": server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return server
}

// mailConfig is the cloud's, with a mail server.
func mailConfig(at string) string {
	return fmt.Sprintf("[mail]\nurl = %q\nfrom = \"Hearth <hello@example.com>\"\n", at)
}

// providerConfig is the cloud's, with the provider.
func providerConfig(at string) string {
	return fmt.Sprintf("[[providers]]\nid = \"elsewhere\"\nname = \"Elsewhere\"\nissuer = %q\nclient_id = \"hearth\"\n", at)
}
