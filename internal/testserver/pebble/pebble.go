// Package pebble runs Pebble, Let's Encrypt's ACME server for tests, in the
// process of a test.
package pebble

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Server is an ACME server.
type Server struct {
	Directory string         // URL
	RootFile  string         // PEM file of what the server's own HTTPS is trusted by
	Roots     *x509.CertPool // of the certificates that it issues
	Down      atomic.Bool    // connections end at once
}

// Start starts an ACME server that finds every name at 127.0.0.1, and
// challenges at these ports. Its certificates live for the given time. It ends with
// the test. Pebble refuses a nonce now and then, as it does.
func Start(t testing.TB, httpPort, tlsPort int, life time.Duration) *Server {
	t.Helper()
	return StartWithDNS(t, httpPort, tlsPort, life, nameServer(t))
}

// StartWithDNS is Start with a DNS server that listens on TCP at an address.
func StartWithDNS(t testing.TB, httpPort, tlsPort int, life time.Duration, dnsServer string) *Server {
	t.Helper()
	os.Setenv("PEBBLE_VA_NOSLEEP", "1") // Pebble has no other way to set this
	os.Setenv("PEBBLE_AUTHZREUSE", "0")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {ValidityPeriod: uint64(life.Seconds())}}
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	validation := va.New(quiet, httpPort, tlsPort, false, dnsServer, store)
	front := wfe.New(quiet, store, validation, authority, []string{"pebble.letsencrypt.org"}, false, false, 1, 1)

	s := &Server{RootFile: filepath.Join(t.TempDir(), "root.pem"), Roots: x509.NewCertPool()}
	server := httptest.NewUnstartedServer(front.Handler())
	server.Listener = &failing{server.Listener, &s.Down}
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	s.Directory = server.URL + wfe.DirectoryPath
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(s.RootFile, own, 0o644); err != nil {
		t.Fatal(err)
	}

	management := httptest.NewTLSServer(front.ManagementHandler())
	defer management.Close()
	resp, err := management.Client().Get(management.URL + wfe.RootCertPath + "0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	root, err := io.ReadAll(resp.Body)
	if err != nil || !s.Roots.AppendCertsFromPEM(root) {
		t.Fatalf("Pebble's root: %v, %.100q", err, root)
	}
	return s
}

// failing is a listener whose connections end at once while down is set.
type failing struct {
	net.Listener
	down *atomic.Bool
}

func (f *failing) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err == nil && f.down.Load() {
		c.Close()
	}
	return c, err
}

// nameServer starts a DNS server in which every name has the address 127.0.0.1.
func nameServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		reply := new(dns.Msg).SetReply(r)
		if q := r.Question[0]; q.Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1},
				A:   net.IPv4(127, 0, 0, 1),
			}}
		}
		w.WriteMsg(reply)
	})}
	go s.ActivateAndServe()
	return l.Addr().String()
}
