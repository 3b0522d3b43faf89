package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"mkd/internal/testserver/pebble"
)

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// site is a listener for HTTPS and one for HTTP.
type site struct {
	t           *testing.T
	https, http net.Listener
	storage     string
	pebble      *pebble.Server
	logs        *observer.ObservedLogs
	manager     *Manager
	config      *tls.Config // from serve on
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// newSite opens the listeners, and starts the CA that comes to them. Each test
// has hosts of its own, because certmagic knows the challenges that are open by
// the host alone, in the whole process.
func newSite(t *testing.T, life time.Duration) *site {
	t.Helper()
	t.Parallel()
	s := &site{t: t, https: listenTCP(t), http: listenTCP(t), storage: t.TempDir()}
	s.pebble = pebble.Start(t, port(s.http), port(s.https), life)
	logger, logs := observed()
	s.logs, s.manager = logs, New(s.storage, logger)
	s.manager.renewCheck = 100 * time.Millisecond
	s.manager.firstRetry = 50 * time.Millisecond
	t.Cleanup(s.manager.Close)
	t.Cleanup(func() {
		if t.Failed() {
			for _, e := range logs.All() {
				if e.Level > zapcore.DebugLevel {
					t.Log(e.Level, e.LoggerName, e.Message, e.ContextMap())
				}
			}
		}
	})
	return s
}

// acme are the settings for both challenges.
func (s *site) acme() *ACME {
	return &ACME{
		AgreeTerms:  true,
		CA:          s.pebble.Directory,
		CARoot:      s.pebble.RootFile,
		TLSAddress:  s.https.Addr().String(),
		HTTPAddress: s.http.Addr().String(),
	}
}

// serve adds the site's listener and serves on it.
func (s *site) serve(o Certificate) {
	s.t.Helper()
	config, err := s.manager.Add("web", one(o))
	if err != nil {
		s.t.Fatal(err)
	}
	s.config = config
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the site's ", r.URL.Path) })
	serve := func(l net.Listener, h http.Handler) {
		server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
		go server.Serve(l)
		s.t.Cleanup(func() { server.Close() })
	}
	serve(tls.NewListener(s.https, config), handler)
	serve(s.http, s.manager.HTTPChallengeHandler(handler))
}

// get returns the certificate that a client gets which trusts the CA's root.
func (s *site) get(name string) (*x509.Certificate, error) {
	d := &net.Dialer{Timeout: patience}
	c, err := tls.DialWithDialer(d, "tcp", s.https.Addr().String(), &tls.Config{
		ServerName: name, RootCAs: s.pebble.Roots, NextProtos: []string{"h2", "http/1.1"},
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// await tries until ok.
func (s *site) await(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("in vain: %s", what)
		}
	}
}

// awaitCertificate tries until there is one.
func (s *site) awaitCertificate(name string) *x509.Certificate {
	s.t.Helper()
	var cert *x509.Certificate
	s.await("a certificate for "+name, func() bool {
		var err error
		cert, err = s.get(name)
		return err == nil
	})
	if len(cert.DNSNames) != 1 || cert.DNSNames[0] != name {
		s.t.Errorf("a certificate for %q, want %s", cert.DNSNames, name)
	}
	return cert
}

// logged returns what was logged of a message.
func (s *site) logged(message string) []observer.LoggedEntry {
	return s.logs.FilterMessage(message).All()
}

func TestHTTP01(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	o := s.acme()
	o.Email = "me@example.org"
	o.disableTLSALPN = true
	s.serve(Certificate{Hosts: []string{"one.example.org", "two.example.org"}, ACME: o})
	s.manager.Start(t.Context())
	s.awaitCertificate("one.example.org")
	s.awaitCertificate("two.example.org")
	if n := len(s.logged("certificate obtained")); n != 2 {
		t.Errorf("%d certificates were obtained", n)
	}
	if lines := above(s.logs); len(lines) > 0 {
		t.Errorf("logged: %q", lines)
	}
	for i, st := range s.manager.Status() {
		if st.Source != "acme" || st.Name != []string{"one.example.org", "two.example.org"}[i] || !st.NotAfter.After(time.Now()) || st.Error != "" {
			t.Errorf("status: %+v", st)
		}
	}
	// Other requests are the site's, those included that look like challenges.
	for host, path := range map[string]string{
		"one.example.org":   "/index.html",
		"two.example.org":   "/.well-known/acme-challenge/x",
		"three.example.org": "/.well-known/acme-challenge/y",
	} {
		r, _ := http.NewRequest("GET", "http://"+s.http.Addr().String()+path, nil)
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "the site's "+path {
			t.Errorf("%s: %q", host, body)
		}
	}
}

func TestTLSALPN01(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	o := s.acme()
	o.HTTPAddress = ""
	s.serve(Certificate{Hosts: []string{"alpn.example.org", "bücher.alpn.example.org"}, ACME: o})
	if _, err := s.get("alpn.example.org"); err == nil || strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("before there is a certificate: %v", err)
	}
	s.manager.Start(t.Context())
	cert := s.awaitCertificate("alpn.example.org")
	s.awaitCertificate("xn--bcher-kva.alpn.example.org")

	// A client without SNI gets the first host's. Others get an alert, and
	// nothing is logged.
	state, err := shake(t, s.config, &tls.Config{InsecureSkipVerify: true})
	if err != nil || !state.PeerCertificates[0].Equal(cert) {
		t.Errorf("without SNI: %v", err)
	}
	if _, err := s.get("alpn.example.com"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("an unknown name: %v", err)
	}
	challenge := &tls.Config{ServerName: "alpn.example.org", InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}}
	if _, err := shake(t, s.config, challenge); err == nil {
		t.Error("a challenge that doesn't exist got a response")
	}
	if lines := above(s.logs); len(lines) > 0 {
		t.Errorf("logged: %q", lines)
	}

	// After a restart it is there without the CA.
	s.manager.Close()
	s.pebble.Down.Store(true)
	logger, logs := observed()
	m := New(s.storage, logger)
	defer m.Close()
	config, err := m.Add("web", one(Certificate{Hosts: []string{"alpn.example.org"}, ACME: o}))
	if err != nil {
		t.Fatal(err)
	}
	m.Start(t.Context())
	client := &tls.Config{ServerName: "alpn.example.org", RootCAs: s.pebble.Roots}
	s.await("the certificate after a restart", func() bool {
		state, err = shake(t, config, client)
		return err == nil
	})
	if !state.PeerCertificates[0].Equal(cert) {
		t.Error("after a restart, the certificate is another")
	}
	if lines := logs.FilterMessage("obtaining a certificate").All(); len(lines) > 0 {
		t.Errorf("logged: %v", lines)
	}
}

// A certificate is renewed while the listener stays, and so do connections.
func TestRenewal(t *testing.T) {
	s := newSite(t, 10*time.Second)
	s.serve(Certificate{Hosts: []string{"renewal.example.org"}, ACME: s.acme()})
	s.manager.Start(t.Context())
	first := s.awaitCertificate("renewal.example.org")
	old, err := tls.Dial("tcp", s.https.Addr().String(), &tls.Config{ServerName: "renewal.example.org", RootCAs: s.pebble.Roots})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	s.await("another certificate", func() bool {
		cert, err := s.get("renewal.example.org")
		if err != nil && !strings.Contains(err.Error(), "expired") { // on a slow machine
			t.Fatal(err)
		}
		return err == nil && cert.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	renewals := 0
	for _, e := range s.logged("certificate obtained") {
		if e.ContextMap()["renewal"] == true {
			renewals++
		}
	}
	if renewals == 0 {
		t.Error("no renewal is logged")
	}
	old.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(old, "GET /old HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(old); err != nil || !bytes.HasSuffix(got, []byte("the site's /old")) {
		t.Errorf("the old connection: %q, %v", got, err)
	}
}

// TestCADown: a CA that is down delays neither the start nor the other hosts. The
// failure is logged, and obtaining tried again.
func TestCADown(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	s.pebble.Down.Store(true)
	other := pebble.Start(t, port(s.http), port(s.https), 24*time.Hour)
	internal, err := s.manager.Add("internal", one(Certificate{Hosts: []string{"localhost"}, Internal: true}))
	if err != nil {
		t.Fatal(err)
	}
	o := s.acme()
	o.CA, o.CARoot = other.Directory, other.RootFile
	if err := s.manager.Prepare(); err != nil {
		t.Fatal(err)
	}
	another, err := s.manager.Add("another", one(Certificate{Hosts: []string{"down.example.com"}, ACME: o}))
	if err != nil {
		t.Fatal(err)
	}
	s.serve(Certificate{Hosts: []string{"down.example.org"}, ACME: s.acme()})
	start := time.Now()
	s.manager.Start(t.Context())
	if took := time.Since(start); took > patience/2 {
		t.Errorf("Start took %v", took)
	}
	s.await("a failure that is logged", func() bool { return len(s.logged("no certificate could be obtained")) >= 2 })
	logged := s.logged("no certificate could be obtained")[0].ContextMap()
	if logged["host"] != "down.example.org" || logged["check"] != "can the CA be reached from this machine? is ca right?" || logged["ca"] != s.acme().CA {
		t.Errorf("logged: %v", logged)
	}
	if _, err := s.get("down.example.org"); err == nil {
		t.Error("a certificate without a CA")
	}
	down := func() Status {
		all := s.manager.Status()
		return all[slices.IndexFunc(all, func(st Status) bool { return st.Name == "down.example.org" })]
	}
	if st := down(); st.Error == "" || !st.NextTry.After(st.ErrorAt) || !st.NotAfter.IsZero() {
		t.Errorf("status: %+v", st)
	}
	if _, err := shake(t, internal, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}); err != nil {
		t.Errorf("the internal certificate: %v", err)
	}
	s.await("the other CA's certificate", func() bool {
		_, err := shake(t, another, &tls.Config{ServerName: "down.example.com", RootCAs: other.Roots})
		return err == nil
	})
	s.pebble.Down.Store(false)
	s.awaitCertificate("down.example.org")
	s.await("the status without an error", func() bool { st := down(); return st.Error == "" && !st.NotAfter.IsZero() })
}

// The CA's error is logged with what to check.
func TestChallengesThatFail(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	elsewhere := listenTCP(t)
	elsewhere.Close() // the CA finds nobody there
	s.pebble = pebble.Start(t, port(elsewhere), port(elsewhere), 24*time.Hour)
	s.serve(Certificate{Hosts: []string{"fail.example.org"}, ACME: s.acme()})
	s.manager.Start(t.Context())
	s.await("a failure that is logged", func() bool { return len(s.logged("no certificate could be obtained")) > 0 })
	logged := s.logged("no certificate could be obtained")[0].ContextMap()
	if !strings.Contains(fmt.Sprint(logged["check"]), "do the A and AAAA records of fail.example.org lead to this machine") {
		t.Errorf("logged: %v", logged)
	}
	for _, line := range above(s.logs) {
		if line != "no certificate could be obtained" {
			t.Errorf("logged as well: %q", line)
		}
	}
}

// The CA's own HTTPS has to be trusted.
func TestCAIsNotTrusted(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	o := s.acme()
	o.CARoot = ""
	s.serve(Certificate{Hosts: []string{"untrusted.example.org"}, ACME: o})
	s.manager.Start(t.Context())
	s.await("a failure that is logged", func() bool { return len(s.logged("no certificate could be obtained")) > 0 })
	if check := fmt.Sprint(s.logged("no certificate could be obtained")[0].ContextMap()["check"]); !strings.Contains(check, "ca_root") {
		t.Errorf("logged: %s", check)
	}
}

// TestStatusBesideWildcard: a host has its own certificate in the status, and none before it
// is obtained, though that of a wildcard would do.
func TestStatusBesideWildcard(t *testing.T) {
	m := New(t.TempDir(), nil)
	defer m.Close()
	if _, err := m.Add("web", one(Certificate{Hosts: []string{"a.example.org", "*.example.org"}, ACME: &ACME{AgreeTerms: true, CA: "https://ca.example/dir", DNS: &DNS{Exec: []string{"true"}}}})); err != nil {
		t.Fatal(err)
	}
	source := m.set.byHost["a.example.org"]
	ends := map[string]time.Time{"*.example.org": time.Now().Add(60 * 24 * time.Hour), "a.example.org": time.Now().Add(30 * 24 * time.Hour)}
	cached := make(map[string]bool)
	for _, host := range []string{"*.example.org", "a.example.org"} {
		certPEM, keyPEM := selfSigned(t, 1, ends[host], host)
		cert, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.manage.CacheUnmanagedTLSCertificate(t.Context(), cert, nil); err != nil {
			t.Fatal(err)
		}
		cached[host] = true
		for _, st := range m.Status() {
			want := time.Time{}
			if cached[st.Name] {
				want = ends[st.Name]
			}
			if st.NotAfter.Sub(want).Abs() > time.Second {
				t.Errorf("with %d certificates: %s ends %v, want %v", len(cached), st.Name, st.NotAfter, want)
			}
		}
	}
}

// failingStorage is a storage that can't be reached.
type failingStorage struct {
	certmagic.FileStorage
	loads atomic.Int64
}

func (s *failingStorage) Load(context.Context, string) ([]byte, error) {
	s.loads.Add(1)
	return nil, errors.New("connection refused")
}

// TestStorageAway: a certificate that can't be loaded is tried again soon, however often
// that failed. The waits doubled as for a CA, up to an hour, so that a node that started
// while Redis was away served nothing long after it was back.
func TestStorageAway(t *testing.T) {
	m := New(t.TempDir(), nil)
	defer m.Close()
	m.firstRetry = 10 * time.Millisecond
	storage := &failingStorage{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
	m.Share(storage)
	if _, err := m.Add("web", one(Certificate{Hosts: []string{"a.example.org"}, ACME: &ACME{AgreeTerms: true, CA: "https://ca.example/dir", TLSAddress: ":443"}})); err != nil {
		t.Fatal(err)
	}
	m.Start(t.Context())
	for end := time.Now().Add(20 * time.Second); storage.loads.Load() < 14; time.Sleep(time.Millisecond) { // with waits that double, after 80 s
		if time.Now().After(end) {
			t.Fatalf("tried %d times", storage.loads.Load())
		}
	}
}
