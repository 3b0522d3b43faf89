package certs

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asker allows names, and counts what it is asked for.
type asker struct {
	*httptest.Server
	mu      sync.Mutex
	allowed map[string]bool
	asked   map[string]int
}

func newAsker(t *testing.T, allowed ...string) *asker {
	a := &asker{allowed: make(map[string]bool), asked: make(map[string]int)}
	for _, name := range allowed {
		a.allowed[name] = true
	}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("domain")
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked[name]++
		switch {
		case r.Method != "GET" || r.URL.Query().Get("key") != "k":
			w.WriteHeader(400)
		case strings.HasPrefix(name, "redirect."):
			http.Redirect(w, r, "/ok", http.StatusFound)
		case !a.allowed[name]:
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *asker) count(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[name]
}

// TestOnDemand: a client that asks for a new name gets its certificate if the URL allows
// it. Refusals are remembered, and the authority's share of an hour is kept.
func TestOnDemand(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	a := newAsker(t, "one.demand.example.org", "two.demand.example.org", "three.demand.example.org", "fixed.demand.example.org")
	o := s.acme()
	o.OnDemand = &OnDemand{Ask: a.URL + "/may?key=k", PerHour: 2}
	s.serve(Certificate{Hosts: []string{"fixed.demand.example.org"}, ACME: o})
	if _, err := s.get("one.demand.example.org"); err == nil {
		t.Error("a certificate before Start")
	}
	s.manager.Start(t.Context())
	s.awaitCertificate("fixed.demand.example.org")

	var wg sync.WaitGroup
	for range 8 { // at once
		wg.Go(func() {
			if _, err := s.get("one.demand.example.org"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := a.count("one.demand.example.org"); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	for _, name := range []string{"no.demand.example.org", "redirect.demand.example.org"} {
		for range 3 {
			if _, err := s.get(name); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := a.count(name); n != 1 {
			t.Errorf("%s was asked for %d times", name, n)
		}
	}
	for _, name := range []string{"single", "*.demand.example.org", "-x.demand.example.org"} {
		if state, err := shake(t, s.config, &tls.Config{ServerName: name, InsecureSkipVerify: true}); err == nil {
			t.Errorf("%s: %q", name, state.PeerCertificates[0].DNSNames)
		}
		if a.count(name) != 0 {
			t.Errorf("%s was asked for", name)
		}
	}
	if a.count("fixed.demand.example.org") != 0 {
		t.Error("a name of hosts was asked for")
	}

	if _, err := s.get("two.demand.example.org"); err != nil {
		t.Error(err)
	}
	if _, err := s.get("three.demand.example.org"); err == nil {
		t.Error("the third in an hour got a certificate")
	}
	if len(s.logged("no certificate is obtained on demand: the limit of an hour is reached")) != 1 || len(s.logged("certificate obtained")) != 3 {
		t.Error("the limit isn't logged once")
	}
	names := make(map[string]bool)
	for _, st := range s.manager.Status() {
		names[st.Name] = !st.NotAfter.IsZero()
	}
	if len(names) != 3 || !names["one.demand.example.org"] || !names["two.demand.example.org"] || !names["fixed.demand.example.org"] {
		t.Errorf("the status has %v", names)
	}

	// After a restart certificates come from the storage, and names are still asked for.
	s.manager.Close()
	s.pebble.Down.Store(true)
	m := New(s.storage, nil)
	defer m.Close()
	config, err := m.Add("web", one(Certificate{ACME: o}))
	if err != nil {
		t.Fatal(err)
	}
	m.Start(t.Context())
	if _, err := shake(t, config, &tls.Config{ServerName: "one.demand.example.org", RootCAs: s.pebble.Roots}); err != nil || a.count("one.demand.example.org") != 2 {
		t.Errorf("after a restart: %v, asked %d times", err, a.count("one.demand.example.org"))
	}
	if _, err := shake(t, config, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("a certificate for no name")
	}
}

// TestOnDemandBounds: names that were refused make room for others, and those with a
// certificate stay.
func TestOnDemandBounds(t *testing.T) {
	d := &demand{names: make(map[string]*demanded)}
	closed := make(chan struct{})
	close(closed)
	d.names["good"] = &demanded{done: closed}
	d.names["pending"] = &demanded{done: make(chan struct{})}
	if d.evict() {
		t.Error("a name with a certificate, or one that isn't decided, was forgotten")
	}
	for i := range 50 {
		d.names[fmt.Sprint(i)] = &demanded{done: closed, err: errLimit, until: time.Now().Add(time.Hour)}
	}
	for range 50 {
		if !d.evict() {
			t.Error("no refused name is forgotten")
		}
	}
	if len(d.names) != 2 || d.evict() {
		t.Errorf("left: %v", d.names)
	}
}

// TestOnDemandAskFails: without a response nobody gets a certificate.
func TestOnDemandAskFails(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	a := newAsker(t, "x.fails.example.org")
	a.Close()
	o := s.acme()
	o.OnDemand = &OnDemand{Ask: a.URL + "/may?key=hush"}
	s.serve(Certificate{ACME: o})
	s.manager.Start(t.Context())
	if _, err := s.get("x.fails.example.org"); err == nil {
		t.Error("a certificate")
	}
	lines := s.logged("a certificate on demand is refused")
	if len(lines) != 1 || len(s.logged("obtaining a certificate")) != 0 {
		t.Fatal("it isn't refused")
	}
	if text := fmt.Sprint(lines[0].ContextMap()); strings.Contains(text, "hush") || !strings.Contains(text, "connection refused") {
		t.Errorf("the log has the key, or no reason: %s", text)
	}
}

// TestOnDemandShares: a client that asks for many names, all of which take long to decide
// on, leaves room for the names of others.
func TestOnDemandShares(t *testing.T) {
	s := newSite(t, 24*time.Hour)
	var slow atomic.Int64 // names that are being decided on
	asked := make(chan string, 1)
	waits := make(chan struct{})
	release := sync.OnceFunc(func() { close(waits) })
	ask := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("domain"); name == "modest.shares.example.org" {
			asked <- name
		} else {
			slow.Add(1)
			<-waits
		}
		w.WriteHeader(404)
	}))
	t.Cleanup(ask.Close)
	t.Cleanup(release)
	o := s.acme()
	o.OnDemand = &OnDemand{Ask: ask.URL}
	s.serve(Certificate{ACME: o})
	s.manager.Start(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				tls.Server(c, s.config).HandshakeContext(t.Context())
			}()
		}
	}()
	handshake := func(from, name string) error {
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := tls.DialWithDialer(d, "tcp", l.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil {
			c.Close()
		}
		return err
	}
	var greedy sync.WaitGroup
	var refused atomic.Int64
	for i := range 2 * maxAsking {
		greedy.Go(func() {
			if handshake("127.0.0.2", fmt.Sprintf("%d.shares.example.org", i)) != nil {
				refused.Add(1)
			}
		})
	}
	for end := time.Now().Add(20 * time.Second); slow.Load()+refused.Load() < 2*maxAsking; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d names are being decided on, %d are refused", slow.Load(), refused.Load())
		}
	}
	if st := s.manager.Status(); len(st) != 0 { // its names are labels of metrics
		t.Errorf("names that clients made up are in the status: %+v", st)
	}
	if err := handshake("127.0.0.3", "modest.shares.example.org"); err == nil {
		t.Error("a name that isn't allowed has a certificate")
	}
	select {
	case <-asked:
	default:
		t.Errorf("%d names of one client are being decided on, and that of another was refused", slow.Load())
	}
	release()
	greedy.Wait()
}
