package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestMaxRequests: requests in flight were unbounded. One address gets three quarters of
// max_requests, and the others are served.
func TestMaxRequests(t *testing.T) {
	release := make(chan bool)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0", max_requests: 8}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, max_requests: 8}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/ok]}, respond: {body: ok}}
  - backend: api
`))
	from := func(address string, h2 bool) *http.Client {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		tr := &http.Transport{DialContext: d.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!h2)
		tr.Protocols.SetHTTP2(h2)
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: 20 * time.Second}
	}
	for name, c := range map[string]struct {
		url string
		h2  bool
	}{
		"http":     {"http://" + p.Addr("web").String(), false},
		"https h1": {"https://" + p.Addr("tls").String(), false},
		"https h2": {"https://" + p.Addr("tls").String(), true},
	} {
		await(t, "no request is in flight", func() bool { return p.Status().InFlight == 0 })
		statuses := make(chan int, 8)
		get := func(client *http.Client, path string) int {
			resp, err := client.Get(c.url + path)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return 0
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		greedy := from("127.0.0.3", c.h2)
		for range 8 {
			go func() { statuses <- get(greedy, "/slow") }()
		}
		for range 2 {
			if status := <-statuses; status != http.StatusServiceUnavailable {
				t.Fatalf("%s: a request beyond the share of its address: %d", name, status)
			}
		}
		if status := get(from("127.0.0.4", c.h2), "/ok"); status != 200 {
			t.Errorf("%s: a request of another address: %d", name, status)
		}
		for range 6 {
			release <- true
			if status := <-statuses; status != 200 {
				t.Errorf("%s: a request within the share: %d", name, status)
			}
		}
	}
}
