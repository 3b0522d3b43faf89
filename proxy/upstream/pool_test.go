package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// TestReuse uses one connection for all requests, the one used last first.
func TestReuse(t *testing.T) {
	fakeserver.NoLeaks(t)
	for name, start := range map[string]func(testing.TB, func(*fakeConn)) (*Transport, *fakeserver.Server){"tcp": serve, "unix": serveUnix} {
		var mu sync.Mutex
		used := make(map[int]int)
		tr, s := start(t, func(f *fakeConn) {
			for {
				if _, err := f.read(); err != nil {
					return
				}
				mu.Lock()
				used[f.n]++
				mu.Unlock()
				f.say(ok)
			}
		})
		// Two at once, and then one at a time.
		a, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil {
			t.Fatal(err)
		}
		if n := tr.Active(); n != 1 {
			t.Errorf("%d active", n)
		}
		io.Copy(io.Discard, a.Body)
		for range 20 {
			if _, body, err := roundTripAll(tr, newRequest(t, "POST", "body")); err != nil || body != "text" {
				t.Error(body, err)
			}
		}
		if s.Connections() != 2 || used[1] != 21 || used[2] != 1 {
			t.Errorf("%s: %d connections, used %v", name, s.Connections(), used)
		}
	}
}

// TestStale closes a kept connection, or sends something on it, while it is idle:
// this is seen before anything is sent, so that even a POST is safe.
func TestStale(t *testing.T) {
	fakeserver.NoLeaks(t)
	for name, last := range map[string]string{"closed": "", "a word and closed": ok, "a word": "-x", "a response": "-" + ok} {
		wait, said := make(chan bool), make(chan bool)
		tr, s := serve(t, func(f *fakeConn) {
			if _, err := f.read(); err != nil {
				return
			}
			f.say(ok)
			<-wait
			word, open := strings.CutPrefix(last, "-")
			f.say(word)
			if !open {
				f.Close()
			}
			said <- true
			if open {
				f.br.ReadByte()
			}
		})
		for i := range 3 {
			b := newBody(strings.NewReader("body"))
			r := newRequest(t, "POST", "")
			r.Body, r.ContentLength = b, 4
			if _, body, err := roundTripAll(tr, r); err != nil || body != "text" {
				t.Errorf("%s: %q, %v", name, body, err)
			}
			if s.Connections() != i+1 {
				t.Errorf("%s: %d connections", name, s.Connections())
			}
			wait <- true
			<-said
		}
	}
}

// TestDiesUnderRequest: a kept connection is closed when it has got a
// request: it isn't sent again, and the error reports how far it came.
func TestDiesUnderRequest(t *testing.T) {
	fakeserver.NoLeaks(t)
	for says, responded := range map[string]bool{"": false, "H": true} {
		for _, size := range []int{0, 10, smallBody + 1} {
			tr, s := serve(t, func(f *fakeConn) {
				f.read()
				f.say(ok)
				f.read()
				f.say(says)
			})
			if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil {
				t.Fatal(err)
			}
			_, _, err := roundTripAll(tr, newRequest(t, "PUT", strings.Repeat("x", size)))
			e := failure(t, err)
			if !e.Sent || e.Responded != responded || !e.Reused || e.Stale() == responded || !errors.Is(err, io.ErrUnexpectedEOF) || s.Connections() != 1 {
				t.Errorf("%q, %d: %+v, %d connections", says, size, e, s.Connections())
			}
		}
	}
}

// TestIdle checks when idle connections are closed, and refused.
func TestIdle(t *testing.T) {
	fakeserver.NoLeaks(t)
	hold := func(t *testing.T, tr *Transport, n int) {
		t.Helper()
		var all []*http.Response
		for range n {
			resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, resp)
		}
		for _, resp := range all {
			io.Copy(io.Discard, resp.Body)
		}
	}
	t.Run("time", func(t *testing.T) {
		tr, _ := serve(t, responding(ok))
		tr.IdleTimeout = 20 * time.Millisecond
		hold(t, tr, 3)
		fakeserver.Eventually(t, "all are closed", func() bool { return idle(tr) == 0 })
		hold(t, tr, 3)
		fakeserver.Eventually(t, "all are closed again", func() bool { return idle(tr) == 0 })
	})
	t.Run("number", func(t *testing.T) {
		tr, _ := serve(t, responding(ok))
		tr.MaxIdle = 2
		hold(t, tr, 4)
		if n := idle(tr); n != 2 {
			t.Errorf("%d idle", n)
		}
	})
	t.Run("none", func(t *testing.T) {
		tr, _ := serve(t, responding(ok))
		tr.MaxIdle = -1
		hold(t, tr, 2)
		if n := idle(tr); n != 0 {
			t.Errorf("%d idle", n)
		}
	})
	t.Run("age", func(t *testing.T) {
		tr, s := serve(t, responding(ok))
		hold(t, tr, 1)
		k, _ := tr.idle.Take(time.Now(), false)
		k.Until = time.Now().Add(-time.Second)
		tr.idle.Put(k, 1)
		hold(t, tr, 1)
		if s.Connections() != 2 {
			t.Errorf("%d connections", s.Connections())
		}
		c := tr.kept(time.Now())
		c.born = time.Now().Add(-maxAge)
		if tr.keep(c, -1); idle(tr) != 0 {
			t.Error("an old one is kept")
		}
	})
	t.Run("hint", func(t *testing.T) {
		tr, _ := serve(t, responding(strings.Replace(ok, "\r\n\r\n", "\r\nKeep-Alive: timeout=5, max=100\r\n\r\n", 1)))
		hold(t, tr, 1)
		k, _ := tr.idle.Take(time.Now(), false)
		defer k.Conn.Discard()
		if wait := k.Until.Sub(k.Since); wait != 4*time.Second {
			t.Errorf("kept for %v", wait)
		}
	})
}

// TestConnectionsAreClosed: a connection that isn't kept, or no longer, is closed, and so is
// one whose handshake has failed. The server sees the end of each.
func TestConnectionsAreClosed(t *testing.T) {
	for _, c := range []struct {
		name string
		tls  bool
		says string // at once
		set  func(*Transport)
		then func(*Transport)
	}{
		{"none is kept", false, "", func(tr *Transport) { tr.MaxIdle = -1 }, nil},
		{"none is kept, with TLS", true, "", func(tr *Transport) { tr.MaxIdle = -1 }, nil},
		{"an old one", false, "", nil, func(tr *Transport) {
			c := tr.kept(time.Now())
			c.born = time.Now().Add(-maxAge)
			tr.keep(c, -1)
		}},
		{"all that are idle", true, "", nil, (*Transport).CloseIdleConnections},
		{"a failed handshake", false, "HTTP/1.1 400 Bad Request\r\n\r\n", func(tr *Transport) { tr.TLS = testTLS(t).client }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended := make(chan struct{}, 10)
			f := func(f *fakeConn) {
				f.say(c.says)
				responding(ok)(f)
				io.Copy(io.Discard, f.br)
				ended <- struct{}{}
			}
			tr, s := serve(t, f)
			if c.tls {
				tr, s = serveTLS(t, 0, func(f2 *fakeConn, _ *tls.Conn) { f(f2) })
			}
			if c.set != nil {
				c.set(tr)
			}
			_, _, err := roundTripAll(tr, newRequest(t, "GET", ""))
			if (err != nil) != (c.says != "") {
				t.Fatal(err)
			}
			if c.then != nil {
				c.then(tr)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Errorf("%d connections, and none was closed", s.Connections())
			}
		})
	}
}

// bodiesTo is a server that sends the body of each request to next before it responds.
func bodiesTo(next chan<- string) func(*fakeConn) {
	return func(f *fakeConn) {
		for {
			r, err := f.read()
			if err != nil {
				return
			}
			next <- r.body
			f.say(ok)
		}
	}
}

// TestQueue checks the limit of connections, and the order in which it lets
// requests through.
func TestQueue(t *testing.T) {
	fakeserver.NoLeaks(t)
	next := make(chan string)
	tr, s := serve(t, bodiesTo(next))
	tr.MaxConnections, tr.Queue = 1, 3
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if _, _, err := roundTripAll(tr, newRequest(t, "POST", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
		fakeserver.Eventually(t, "it waits", func() bool {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			return tr.inUse() == 1 && tr.waiting() == i
		})
	}
	_, _, err := roundTripAll(tr, newRequest(t, "GET", ""))
	if e := failure(t, err); !errors.Is(err, ErrQueueFull) || e.Sent || e.Timeout() {
		t.Errorf("%+v", e)
	}
	if n := tr.Active(); n != 4 {
		t.Errorf("%d active", n)
	}
	for i := range 4 {
		if got := <-next; got != fmt.Sprint(i) {
			t.Errorf("%s in place of %d", got, i)
		}
	}
	all.Wait()
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestQueueTurns: with a full queue a client's newest request makes room for another
// client's, whose turn comes before the rest.
func TestQueueTurns(t *testing.T) {
	fakeserver.NoLeaks(t)
	next := make(chan string)
	tr, _ := serve(t, bodiesTo(next))
	tr.MaxConnections, tr.Queue = 1, 3
	greedy, modest := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	var all sync.WaitGroup
	refused := make(chan string, 9)
	send := func(client netip.Prefix, name string, waiting int) {
		all.Go(func() {
			resp, err := tr.DoFor(client, nil, newRequest(t, "POST", name), nil, roundtrip.NoEvents)
			if errors.Is(err, ErrQueueFull) {
				refused <- name
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
		fakeserver.Eventually(t, "it waits", func() bool {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			return tr.inUse() == 1 && tr.waiting() == waiting
		})
	}
	for i, name := range []string{"g0", "g1", "g2", "g3"} {
		send(greedy, name, i)
	}
	send(modest, "m", 3)
	if name := <-refused; name != "g3" {
		t.Errorf("%s is refused", name)
	}
	for _, want := range []string{"g0", "g1", "m", "g2"} {
		if got := <-next; got != want {
			t.Errorf("%s in place of %s", got, want)
		}
	}
	all.Wait()
}

// TestConnectionsByClient: a client that uses its connections for long leaves some for
// others. What waits for one of them goes on when the client has fewer.
func TestConnectionsByClient(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, responding(ok))
	tr.MaxConnections, tr.QueueTimeout = 8, -1
	do := func(client string) *http.Response {
		resp, err := tr.DoFor(netip.MustParsePrefix(client), nil, newRequest(t, "GET", ""), nil, roundtrip.NoEvents)
		if err != nil {
			t.Error(err)
			return &http.Response{Body: http.NoBody}
		}
		return resp
	}
	const most = 6 // 3/4
	var used []*http.Response
	for range most {
		used = append(used, do("192.0.2.1/32"))
	}
	more := make(chan *http.Response, 3)
	for range 3 {
		go func() { more <- do("192.0.2.1/32") }()
	}
	counts := func() (inUse, waiting int) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.inUse(), tr.waiting()
	}
	fakeserver.Eventually(t, "the greedy client waits", func() bool { _, waiting := counts(); return waiting == 3 })
	within(t, func() {
		do("192.0.2.2/32").Body.Close()
	})
	if inUse, waiting := counts(); inUse != most || waiting != 3 {
		t.Errorf("%d are in use, %d requests wait", inUse, waiting)
	}
	for i := range used {
		used[i].Body.Close()
		if i < 3 {
			within(t, func() { used = append(used, <-more) })
		}
	}
	for _, resp := range used[most:] {
		resp.Body.Close()
	}
}

// TestCheck: a health check needs none of MaxConnections, and leaves them all to requests.
func TestCheck(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, responding(ok))
	tr.MaxConnections, tr.QueueTimeout = 1, time.Minute
	used, err := tr.RoundTrip(newRequest(t, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	within(t, func() {
		resp, err := tr.Check(nil, newRequest(t, "GET", ""))
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	})
	if tr.inUse() != 1 || tr.Active() != 1 {
		t.Errorf("%d in use, %d active", tr.inUse(), tr.Active())
	}
	used.Body.Close()
	within(t, func() {
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil {
			t.Error(err)
		}
	})
}

func TestQueueTimeout(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, wait := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond} {
		tr, _ := serve(t, responding(ok))
		tr.MaxConnections, tr.QueueTimeout = 1, wait
		resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		within(t, func() {
			_, _, err := roundTripAll(tr, newRequest(t, "GET", ""))
			if e := failure(t, err); !errors.Is(err, ErrQueueTimeout) || e.Sent || !e.Timeout() {
				t.Errorf("%+v", e)
			}
		})
		resp.Body.Close()
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil {
			t.Error(err)
		}
		tr, _ = serve(t, responding(ok))
		tr.MaxConnections, tr.Queue = 1, -1
		resp, _ = tr.RoundTrip(newRequest(t, "GET", ""))
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); !errors.Is(err, ErrQueueFull) {
			t.Error(err)
		}
		resp.Body.Close()
	}
}

// TestNoMixing sends many requests at once to a server that closes connections
// and breaks responses off at random. An response that is whole is that to its own
// request, and no request is run twice.
func TestNoMixing(t *testing.T) {
	fakeserver.NoLeaks(t)
	var mu sync.Mutex
	seen := make(map[string]int)
	tr, _ := serve(t, func(f *fakeConn) {
		for {
			r, err := f.read()
			if err != nil {
				return
			}
			mu.Lock()
			seen[r.body]++
			mu.Unlock()
			response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.body), r.body)
			if rand.IntN(2) == 0 {
				response = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(r.body), r.body)
			}
			switch rand.IntN(10) {
			case 0:
				return
			case 1:
				f.say(response[:rand.IntN(len(response))])
				return
			case 2:
				f.say(response)
				return
			case 3:
				f.say(response, response) // the second one is nobody's
			case 4:
				f.Conn.(*net.TCPConn).SetLinger(0)
				f.say(response)
				return
			default:
				f.say(response)
			}
		}
	})
	tr.MaxConnections = 10
	var all sync.WaitGroup
	const workers, each = 20, 100
	for w := range workers {
		all.Go(func() {
			for i := range each {
				size := 1
				if i%20 == 0 {
					size = 20000
				}
				nonce := strings.Repeat(fmt.Sprintf("%d/%d ", w, i), size)
				r := newRequest(t, "POST", nonce)
				if i%3 == 0 {
					r.ContentLength = -1
				}
				if i%17 == 0 { // gives up
					if resp, err := tr.RoundTrip(r); err == nil {
						resp.Body.Close()
					}
					continue
				}
				if _, body, err := roundTripAll(tr, r); err == nil && body != nonce {
					t.Errorf("%.20q in place of %.20q", body, nonce)
				} else if err != nil {
					failure(t, err)
				}
			}
		})
	}
	all.Wait()
	mu.Lock() // a request that was given up may still reach the server
	defer mu.Unlock()
	for nonce, n := range seen {
		if n > 1 {
			t.Errorf("%.20q was run %d times", nonce, n)
		}
	}
	if n := tr.Active(); n != 0 {
		t.Errorf("%d active", n)
	}
}
