package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer is a DNS server whose records for app.example change.
type nameServer struct {
	mu      sync.Mutex
	records []string // addresses
	fails   bool
	queries int
	lookup  func(context.Context, string) ([]string, error)
}

func newNameServer(t *testing.T, records ...string) *nameServer {
	t.Helper()
	n := &nameServer{records: records}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: n}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	n.lookup = r.LookupHost
	return n
}

// ServeDNS implements dns.Handler.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queries++
	reply := new(dns.Msg).SetReply(q)
	switch {
	case n.fails:
		reply.Rcode = dns.RcodeServerFailure
	case q.Question[0].Name != "app.example.":
		reply.Rcode = dns.RcodeNameError
	case q.Question[0].Qtype == dns.TypeA:
		for _, a := range n.records {
			reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: "app.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.ParseIP(a)})
		}
	}
	w.WriteMsg(reply)
}

// set changes the records; none is a failure.
func (n *nameServer) set(records ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records, n.fails = records, len(records) == 0
}

func (n *nameServer) asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.queries
}

// serversAt starts a server at each of the addresses, all with one port, which
// respond with their address.
func serversAt(t *testing.T, http2 bool, addresses ...string) (port string) {
	t.Helper()
	for range 20 { // the port may be taken at one of them
		var all []net.Listener
		first, err := net.Listen("tcp", addresses[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, first)
		_, port, _ = net.SplitHostPort(first.Addr().String())
		for _, a := range addresses[1:] {
			l, err := net.Listen("tcp", a+":"+port)
			if err != nil {
				break
			}
			all = append(all, l)
		}
		if len(all) < len(addresses) {
			for _, l := range all {
				l.Close()
			}
			continue
		}
		for i, l := range all {
			s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, addresses[i]) })}}
			if http2 {
				s.Config.Protocols = new(http.Protocols)
				s.Config.Protocols.SetUnencryptedHTTP2(true)
			}
			s.Start()
			t.Cleanup(s.Close)
		}
		return port
	}
	t.Fatal("there is no port that is free at all addresses")
	return ""
}

// from returns which server responds.
func from(t *testing.T, c http.RoundTripper) string {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Host = "app.example"
	resp, err := c.RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// known asks until an address is known, and returns which server responds.
func known(t *testing.T, c http.RoundTripper) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := from(t, c)
		if net.ParseIP(got) != nil {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatal(got)
		}
	}
}

// await asks until the wanted server responds, or till it alone does.
func await(t *testing.T, c http.RoundTripper, want string) {
	t.Helper()
	for deadline, row := time.Now().Add(20*time.Second), 0; row < 5; time.Sleep(10 * time.Millisecond) {
		got := from(t, c)
		if row++; got != want {
			row = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s responds, want %s", got, want)
		}
	}
}

// TestNames follows the records of a DNS server: several addresses, others, none.
func TestNames(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		n := newNameServer(t, "127.0.0.1", "127.0.0.2")
		address := "app.example:" + serversAt(t, http2, "127.0.0.1", "127.0.0.2", "127.0.0.3")
		const interval = 50 * time.Millisecond
		each := &Transport{Address: address, Resolve: interval, Lookup: n.lookup, MaxIdle: -1, DialTimeout: time.Minute}
		var kept interface {
			http.RoundTripper
			CloseIdleConnections()
		} = &Transport{Address: address, Resolve: interval, Lookup: n.lookup, DialTimeout: time.Minute}
		if http2 {
			kept = &HTTP2{Address: address, Resolve: interval, Lookup: n.lookup, DialTimeout: time.Minute}
		} else {
			known(t, each)
			seen := make(map[string]int)
			for range 20 {
				seen[from(t, each)]++
			}
			if seen["127.0.0.1"] != 10 || seen["127.0.0.2"] != 10 {
				t.Errorf("the addresses' shares: %v", seen)
			}
		}
		defer kept.CloseIdleConnections()
		if got := known(t, kept); got != "127.0.0.1" && got != "127.0.0.2" {
			t.Fatal(got)
		}
		// Connections that are kept move with the records.
		n.set("127.0.0.3")
		await(t, kept, "127.0.0.3")
		// The last records stay while there are none.
		n.set()
		before := n.asked()
		for deadline := time.Now().Add(20 * time.Second); n.asked() < before+6; time.Sleep(10 * time.Millisecond) {
			if got := from(t, kept); got != "127.0.0.3" {
				t.Fatalf("without records: %s", got)
			}
			if time.Now().After(deadline) {
				t.Fatal("the name isn't looked up any more")
			}
		}
		kept.CloseIdleConnections()
		if got := from(t, kept); got != "127.0.0.3" {
			t.Errorf("a new connection without records: %s", got)
		}
		// An address where nobody listens is passed over.
		n.set("127.0.0.2", "127.0.0.9")
		await(t, kept, "127.0.0.2")
		if !http2 {
			await(t, each, "127.0.0.2")
		}
	}
}

// TestNoName fails if nothing was ever known, and recovers.
func TestNoName(t *testing.T) {
	n := newNameServer(t)
	n.set()
	c := &Transport{Address: "app.example:" + serversAt(t, false, "127.0.0.1"), Resolve: time.Hour, Lookup: n.lookup}
	defer c.CloseIdleConnections()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Host = "app.example"
	_, err := c.RoundTrip(r)
	var unknown *net.DNSError
	if err == nil || !errors.As(err, &unknown) || !strings.Contains(err.Error(), "app.example") {
		t.Errorf("%v", err)
	}
	n.set("127.0.0.1")
	if got := known(t, c); got != "127.0.0.1" {
		t.Error(got)
	}
	queries := n.asked()
	for range 20 {
		from(t, c)
	}
	if now := n.asked(); now != queries {
		t.Errorf("%d queries within the interval", now-queries)
	}
}
