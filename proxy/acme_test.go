package proxy

import (
	"crypto/tls"
	"net/http"
	"strconv"
	"testing"
	"time"

	"mkd/internal/testserver/pebble"
)

// TestACME gets a certificate from an authority through the daemon's own
// listeners, by each of its two ways; a client uses it.
func TestACME(t *testing.T) {
	rec := newRecorder(t, nil)
	for _, c := range []struct{ way, host string }{{"http-01", "plain.example.org"}, {"tls-alpn-01", "alpn.example.org"}} {
		t.Run(c.way, func(t *testing.T) {
			web, plain, nobody := freePort(t), freePort(t), freePort(t)
			httpPort, tlsPort := plain, nobody
			if c.way == "tls-alpn-01" {
				httpPort, tlsPort = nobody, web
			}
			ca := pebble.Start(t, number(t, httpPort), number(t, tlsPort), time.Hour)
			start(t, load(t, `
listeners:
  web:
    https:
      address: 127.0.0.1:`+web+`
      hosts: [`+c.host+`]
      tls: {acme: {email: me@example.org, agree_terms: true, ca: `+ca.Directory+`, ca_root: `+ca.RootFile+`}}
  plain: {http: {address: "127.0.0.1:`+plain+`", redirect_https: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`))
			client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
				TLSClientConfig: &tls.Config{ServerName: c.host, RootCAs: ca.Roots}, DisableKeepAlives: true}}
			for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				r, err := http.NewRequest("GET", "https://127.0.0.1:"+web+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = c.host
				resp, err := client.Do(r)
				if err == nil {
					resp.Body.Close()
					if resp.StatusCode != 200 {
						t.Errorf("status %d", resp.StatusCode)
					}
					return
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
		})
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
