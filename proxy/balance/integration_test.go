package balance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/proxy/roundtrip"
	"mkd/proxy/upstream"
)

// site counts which requests it handled. It is served by several servers.
type site struct {
	mu      sync.Mutex
	handled map[string]int
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	nonce := r.Header.Get("Nonce")
	if r.Method == "POST" && string(body) != nonce {
		panic("a body is mixed up")
	}
	s.mu.Lock()
	s.handled[nonce]++
	s.mu.Unlock()
	io.WriteString(w, nonce)
}

// server is one that can be killed and started again at its address.
type server struct {
	http.Server
	address string
}

func start(t *testing.T, address string, h http.Handler, idle time.Duration) *server {
	t.Helper()
	var l net.Listener
	var err error
	for range 100 { // the address is in use for a moment after a kill
		if l, err = net.Listen("tcp", address); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Error(err)
		return &server{address: address}
	}
	s := &server{Server: http.Server{Handler: h, IdleTimeout: idle}, address: l.Addr().String()}
	go s.Serve(l)
	return s
}

// load sends requests until enough is closed, and returns how many of each kind
// there were. GETs must not fail; a POST may only if it was sent.
func load(t *testing.T, b *Balancer, s *site, pause time.Duration, enough <-chan struct{}) (gets, posts, lost int64) {
	var all sync.WaitGroup
	var g, p, l atomic.Int64
	for w := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-enough:
					return
				default:
				}
				nonce := fmt.Sprintf("%d/%d", w, i)
				method, body := "GET", io.Reader(nil)
				if i%2 == 1 {
					method, body = "POST", io.NopCloser(strings.NewReader(nonce)) // without GetBody
				}
				r, err := http.NewRequestWithContext(t.Context(), method, "http://example.org/", body)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Nonce", nonce)
				if method == "POST" {
					r.ContentLength = int64(len(nonce))
				}
				text, err := roundTrip(b, r)
				if method == "GET" {
					g.Add(1)
					if err != nil || text != nonce {
						t.Errorf("GET: %q, %v", text, err)
					}
				} else {
					p.Add(1)
					var e *roundtrip.Error
					switch {
					case err == nil && text != nonce:
						t.Errorf("POST: %q", text)
					case err != nil && (!errors.As(err, &e) || !e.Sent):
						t.Errorf("POST that wasn't sent: %v", err)
					case err != nil:
						l.Add(1)
					}
					s.mu.Lock()
					if n := s.handled[nonce]; n > 1 || n == 0 && err == nil {
						t.Errorf("a POST was handled %d times, error %v", n, err)
					}
					s.mu.Unlock()
				}
				if pause > 0 && i%4 == 0 {
					time.Sleep(pause)
				}
			}
		})
	}
	all.Wait()
	return g.Load(), p.Load(), l.Load()
}

func roundTrip(rt http.RoundTripper, r *http.Request) (string, error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	return string(p), err
}

func balancerOf(t *testing.T, servers ...*server) *Balancer {
	b := &Balancer{By: LeastConn}
	for _, s := range servers {
		tr := &upstream.Transport{Address: s.address}
		t.Cleanup(tr.CloseIdleConnections)
		b.Upstreams = append(b.Upstreams, &Upstream{Name: s.address, Transport: tr, Active: tr.Active})
	}
	return b
}

// TestKills kills and starts a server again and again, under load.
func TestKills(t *testing.T) {
	s := &site{handled: make(map[string]int)}
	one, two := start(t, "127.0.0.1:0", s, 0), start(t, "127.0.0.1:0", s, 0)
	defer two.Close()
	b := balancerOf(t, one, two)
	until := func(up bool) {
		for deadline := time.Now().Add(30 * time.Second); b.Status()[0].Up != up; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("it never came that up was %t", up)
				return
			}
		}
	}
	enough := make(chan struct{})
	go func() {
		defer close(enough)
		for i := range 10 {
			time.Sleep(20 * time.Millisecond)
			one.Close()
			if i%5 == 0 {
				until(false)
			}
			one = start(t, one.address, s, 0)
			if i%5 == 0 {
				until(true)
			}
		}
	}()
	gets, posts, lost := load(t, b, s, 0, enough)
	one.Close()
	t.Logf("%d GETs, %d POSTs of which %d were lost", gets, posts, lost)
	if st := b.Status()[1]; !st.Up || st.Failed > 0 {
		t.Errorf("%+v", st)
	}
}

// TestImpatientServers have servers close connections that were idle for a
// moment, which is about as long as requests pause.
func TestImpatientServers(t *testing.T) {
	for _, n := range []int{1, 2} {
		s := &site{handled: make(map[string]int)}
		var servers []*server
		for range n {
			one := start(t, "127.0.0.1:0", s, 5*time.Millisecond)
			defer one.Close()
			servers = append(servers, one)
		}
		b := balancerOf(t, servers...)
		enough := make(chan struct{})
		time.AfterFunc(500*time.Millisecond, func() { close(enough) })
		gets, posts, lost := load(t, b, s, 5*time.Millisecond, enough)
		t.Logf("%d servers: %d GETs, %d POSTs of which %d were lost", n, gets, posts, lost)
		for _, st := range b.Status() {
			if !st.Up {
				t.Errorf("%+v", st)
			}
		}
	}
}
