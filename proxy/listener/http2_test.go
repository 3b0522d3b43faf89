package listener

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mkd/config"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/share"
)

// okLease responds to all requests.
type okLease struct{}

func (okLease) Handle(w request.Response, r *request.Request, refused error) error {
	io.WriteString(w, "ok")
	return w.Finish()
}

func (okLease) Release() {}

// TestHTTP2ClientsAreForgotten opens connections from many addresses, and closes
// them: nothing of the clients may be kept. Their contexts' parent ends only with
// the daemon.
func TestHTTP2ClientsAreForgotten(t *testing.T) {
	l, err := logs.New(io.Discard, logs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	base, stop := context.WithCancel(t.Context())
	defer stop()
	made, served := opened(t, &config.Listener{Name: "tls", HTTPS: &config.HTTPS{Address: "127.0.0.1:0", Web: wide}}, &Daemon{
		Enter: func() request.Lease { return okLease{} }, Base: base, Logs: l, HTTPMemory: share.NewPool(1<<20, 0),
		TLS: &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}},
	})
	for i := range byte(20) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 10+i)}}
		tr := &http.Transport{DialContext: d.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		c := http.Client{Transport: tr, Timeout: 20 * time.Second}
		resp, err := c.Get("https://" + made.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" || resp.ProtoMajor != 2 {
			t.Errorf("%s %q, %v", resp.Proto, body, err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
	requests := made.shared.requests
	for deadline := time.Now().Add(10 * time.Second); requests.Clients() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d clients are kept, none is connected", requests.Clients())
		}
	}
	for deadline := time.Now().Add(10 * time.Second); made.Connections() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections count as open, none is", made.Connections())
		}
	}
	if err := made.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
