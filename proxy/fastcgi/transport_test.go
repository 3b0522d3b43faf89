package fastcgi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

func TestOneWriteForASmallRequest(t *testing.T) {
	fakeserver.NoLeaks(t)
	var got []byte
	tr, _ := serve(t, func(f *fakeConn) {
		buf := make([]byte, 100000)
		n, _ := f.Read(buf)
		got = buf[:n]
		f.say(stdout(okHeader), end(0))
	})
	if _, _, err := roundTripAll(tr, newRequest(t, "POST", "body")); err != nil {
		t.Fatal(err)
	}
	if want := record(1, 5, 1, "body", 0) + record(1, 5, 1, "", 0); !strings.HasSuffix(string(got), want) {
		t.Errorf("%q", got)
	}
}

func TestKeepAlive(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(stdout(okHeader+"text")+end(0)))
	get := func() {
		t.Helper()
		if _, body, err := roundTripAll(tr, newRequest(t, "GET", "")); body != "text" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
	}
	for range 3 {
		get()
	}
	if s.Connections() != 3 || idle(tr) != 0 {
		t.Errorf("%d connections, %d idle", s.Connections(), idle(tr))
	}
	tr.KeepAlive = 2
	for range 5 {
		get()
	}
	if s.Connections() != 4 || idle(tr) != 1 {
		t.Errorf("%d connections, %d idle", s.Connections(), idle(tr))
	}
	var bodies []io.ReadCloser
	for range 5 {
		resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, resp.Body)
	}
	for _, b := range bodies {
		io.Copy(io.Discard, b)
		b.Close()
	}
	if s.Connections() != 8 || idle(tr) != 2 {
		t.Errorf("%d connections, %d idle", s.Connections(), idle(tr))
	}
	tr.CloseIdleConnections()
	if idle(tr) != 0 {
		t.Error("idle connections are left")
	}
	get()
	tr.CloseIdleConnections()
	tr.IdleTimeout = 10 * time.Millisecond
	get()
	fakeserver.Eventually(t, "the idle connection is closed", func() bool { return idle(tr) == 0 })
}

func TestNobodyThere(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, nil)
	tr.Address += "-not"
	for _, body := range []string{"", "body", strings.Repeat("x", 2*smallBody)} {
		_, err := tr.RoundTrip(newRequest(t, "POST", body))
		if e := failure(t, err); e.Sent || e.Responded || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%+v", e)
		}
	}
	tcp := &Transport{Address: "127.0.0.1:1", Call: with(simpleParams)}
	_, err := tcp.RoundTrip(newRequest(t, "GET", ""))
	if e := failure(t, err); e.Sent || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%+v", e)
	}
}

// TestNoDescriptor: that this process has no descriptor left is no fault of the server.
func TestNoDescriptor(t *testing.T) {
	tr, _ := serve(t, nil)
	tcp, _ := serveTCP(t, nil)
	for _, tr := range []*Transport{tr, tcp} {
		fakeserver.WithoutDescriptors(t, func() {
			_, err := tr.RoundTrip(newRequest(t, "GET", ""))
			if e := failure(t, err); e.Sent || !errors.Is(err, roundtrip.ErrBusy) || !errors.Is(err, syscall.EMFILE) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestOverTCP(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serveTCP(t, responding(stdout(okHeader+"text")+end(0)))
	tr.KeepAlive = 1
	for range 3 {
		if _, body, err := roundTripAll(tr, newRequest(t, "POST", strings.Repeat("x", 1<<20))); body != "text" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	}
}

func TestTimeouts(t *testing.T) {
	fakeserver.NoLeaks(t)
	short := 150 * time.Millisecond
	silent := func(f *fakeConn) {
		f.readRequest()
		f.br.ReadByte()
	}
	dripping := func(f *fakeConn) { // each byte within the time, all of them not
		f.readRequest()
		for f.say(stdout("X: ")); ; {
			if _, err := io.WriteString(f, stdout("x")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	begun := func(f *fakeConn) {
		f.readRequest()
		f.say(stdout(okHeader + "some"))
		f.br.ReadByte()
	}
	large := strings.Repeat("x", 4<<20)
	for _, c := range []struct {
		name, body string
		server     func(f *fakeConn)
		edit       func(tr *Transport)
		responded  bool
	}{
		{"silence", "", silent, func(tr *Transport) { tr.ResponseTimeout = short }, false},
		{"silence, very short", "", silent, func(tr *Transport) { tr.ResponseTimeout = time.Millisecond }, false},
		{"dripping header", "", dripping, func(tr *Transport) { tr.ResponseTimeout = short }, true},
		{"not reading", large, nil, func(tr *Transport) { tr.ResponseTimeout = short }, false},
		{"silence after a long body", large, silent, func(tr *Transport) { tr.ResponseTimeout = short }, false},
		{"the body stops", "", begun, func(tr *Transport) { tr.ReadTimeout = short }, true},
		{"the body stops after a long one", large, begun, func(tr *Transport) { tr.ReadTimeout = short }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			tr, _ := serve(t, func(f *fakeConn) {
				if c.server == nil {
					<-release
					return
				}
				c.server(f)
			})
			defer close(release)
			c.edit(tr)
			_, _, err := roundTripAll(tr, newRequest(t, "POST", c.body))
			if e := failure(t, err); !errors.Is(err, roundtrip.ErrTimeout) || !e.Timeout() || !e.Sent || e.Responded != c.responded {
				t.Errorf("%+v", e)
			}

			// The same by the context, with no timeouts at all.
			tr.ResponseTimeout, tr.ReadTimeout, tr.DialTimeout = -1, -1, -1
			for _, wait := range []time.Duration{0, time.Millisecond, 2 * roundtrip.Patience} {
				gone := errors.New("the client is gone")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(wait, func() { cancel(gone) })
				start := time.Now()
				_, _, err := roundTripAll(tr, newRequest(t, "POST", c.body).WithContext(ctx))
				if took := time.Since(start); !errors.Is(err, gone) || took > wait+roundtrip.Patience+2*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), short)
			defer cancel()
			_, _, err = roundTripAll(tr, newRequest(t, "POST", c.body).WithContext(ctx))
			if e := failure(t, err); !errors.Is(err, context.DeadlineExceeded) || !e.Timeout() {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestContextOverBeforehand(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(end(0)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tr.RoundTrip(newRequest(t, "GET", "").WithContext(ctx))
	if e := failure(t, err); e.Sent || !errors.Is(err, context.Canceled) || s.Connections() != 0 {
		t.Errorf("%+v, %d connections", e, s.Connections())
	}
}

// TestContextEndsAStream ends a response that comes without a pause.
func TestContextEndsAStream(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.readRequest()
		f.say(stdout(okHeader))
		for part := stdout(strings.Repeat("x", 60000)); ; {
			if _, err := io.WriteString(f, part); err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(3*roundtrip.Patience, cancel)
	if _, _, err := roundTripAllTo(io.Discard, tr, newRequest(t, "GET", "").WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestContextAfterTheEnd doesn't touch a connection that is another's by then.
func TestContextAfterTheEnd(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, func(f *fakeConn) {
		for {
			if _, err := f.readRequest(); err != nil {
				return
			}
			time.Sleep(roundtrip.Patience + 20*time.Millisecond) // so that the context is watched
			f.say(stdout(okHeader), end(0))
		}
	})
	tr.KeepAlive = 1
	for range 3 {
		age(tr)
		ctx, cancel := context.WithCancel(t.Context())
		_, _, err := roundTripAll(tr, newRequest(t, "POST", "").WithContext(ctx))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}

func TestConcurrency(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		for {
			r, err := f.readRequest()
			if err != nil {
				return
			}
			f.say(stdout(okHeader), stderr(r.get("QUERY_STRING")+"\n"), stdout(r.get("QUERY_STRING")+" "), stdout(r.body), end(0))
		}
	})
	tr.KeepAlive = 4
	tr.Call = also(tr.Call, func(c *Call, r *http.Request) {
		c.Stderr = func(line string) {
			if line != r.URL.RawQuery {
				t.Errorf("%q got the error output of %q", r.URL.RawQuery, line)
			}
		}
	})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 100 {
				body := strings.Repeat(string(rune('a'+g)), i*i*9)
				r := newRequest(t, "POST", body)
				r.URL.RawQuery = string(rune('A'+g)) + strings.Repeat("z", i)
				if _, got, err := roundTripAll(tr, r); err != nil || got != r.URL.RawQuery+" "+body {
					t.Errorf("%d/%d: %.40q, %v", g, i, got, err)
				}
			}
		})
	}
	all.Wait()
	if idle(tr) > 4 {
		t.Errorf("%d idle connections", idle(tr))
	}
}
