//go:build linux

package fastcgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// TestFPMWorkerKilled kills a worker before and in the middle of its response.
func TestFPMWorkerKilled(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	for _, keep := range []int{0, 1} {
		f.tr.KeepAlive = keep
		resp, err := f.tr.RoundTrip(f.request(t, "GET", "do=die", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(readPID(t, resp), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if e := failure(t, err); !errors.Is(err, io.ErrUnexpectedEOF) || !e.Sent || !e.Responded {
			t.Errorf("%q, %+v", rest, e)
		}
		_, pid := f.do(t, "GET", "do=pid", "") // by the worker that took its place
		path, query := f.file("never")
		failed := make(chan error)
		go func() {
			_, _, err := roundTripAll(f.tr, f.request(t, "POST", "do=silent"+query, ""))
			failed <- err
		}()
		fakeserver.Eventually(t, "the worker is busy", func() bool {
			return os.Remove(path+".begun") == nil
		})
		var n int
		fmt.Sscan(pid, &n)
		syscall.Kill(n, syscall.SIGKILL)
		if e := failure(t, <-failed); !errors.Is(e, io.ErrUnexpectedEOF) || !e.Sent || e.Responded {
			t.Errorf("%+v", e)
		}
		f.do(t, "GET", "do=pid", "")
		f.tr.CloseIdleConnections()
	}
}

// TestFPMMaxRequests has workers end between requests: none of them is lost,
// not even one that mustn't be sent twice.
func TestFPMMaxRequests(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 3, "pm.max_requests = 5")
	for _, keep := range []int{0, 1, 2} {
		f.tr.KeepAlive = keep
		pids := map[string]bool{}
		for range 30 {
			resp, pid := f.do(t, "POST", "do=pid", "body")
			if resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
			pids[pid] = true
		}
		if len(pids) < 5 {
			t.Errorf("%d workers: they weren't replaced", len(pids))
		}
		var all sync.WaitGroup
		for g := range 3 {
			all.Go(func() {
				for i := range 20 {
					n := fmt.Sprint(g, "-", i)
					if _, got, err := roundTripAll(&f.balancer, f.request(t, "GET", "do=number&n="+n, "")); got != n+" " || err != nil {
						t.Errorf("%s: %q, %v", n, got, err)
					}
				}
			})
		}
		all.Wait()
	}
}

// TestFPMOverTCP does over TCP what goes another way there: a server's close may
// be seen as a reset.
func TestFPMOverTCP(t *testing.T) {
	fakeserver.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // its port is free now
	f := startFPM(t, 2, "pm.max_requests = 5", "listen = "+l.Addr().String())
	for _, keep := range []int{0, 1} {
		f.tr.KeepAlive = keep
		for range 12 {
			f.do(t, "POST", "do=pid", "body")
			f.do(t, "GET", "do=pid", "")
		}
		if _, got := f.do(t, "POST", "do=early", strings.Repeat("x", 8<<20)); len(got) != 4<<20 {
			t.Errorf("%d bytes", len(got))
		}
		f.tr.CloseIdleConnections() // one whose worker has ended would need a second attempt
		resp, err := f.tr.RoundTrip(f.request(t, "GET", "do=die", ""))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(readPID(t, resp), syscall.SIGKILL)
		if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, %v", b, err)
		}
		resp.Body.Close()
	}
}

// TestFPMAllBusy has more requests than workers.
func TestFPMAllBusy(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	path, query := f.file("go")
	resp, err := f.tr.RoundTrip(f.request(t, "GET", "do=hold"+query, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	readPID(t, resp)

	waiting := &Transport{Network: "unix", Address: f.tr.Address, Call: with(f.params), ResponseTimeout: 200 * time.Millisecond}
	for _, body := range []string{"", strings.Repeat("x", 4<<20)} {
		_, _, err := roundTripAll(waiting, f.request(t, "POST", "do=pid", body))
		if e := failure(t, err); !errors.Is(err, roundtrip.ErrTimeout) || !e.Sent || e.Responded {
			t.Errorf("%+v", e)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, _, err = roundTripAll(f.tr, f.request(t, "POST", "do=pid", body).WithContext(ctx))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	}
	late := make(chan error)
	go func() { // patient enough
		_, body, err := roundTripAll(f.tr, f.request(t, "POST", "do=number&n=1", "x"))
		if body != "1 x" {
			err = fmt.Errorf("%q, %w", body, err)
		}
		late <- err
	}()
	touch(t, path)
	if b, err := io.ReadAll(resp.Body); string(b) != "held" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := <-late; err != nil {
		t.Error(err)
	}
}

// TestFPMRestarted restarts PHP-FPM while a connection is kept, and while an
// response is in flight.
func TestFPMRestarted(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 2)
	f.tr.KeepAlive, f.tr.IdleTimeout = 2, time.Minute
	_, before := f.do(t, "POST", "do=pid", "")
	_, query := f.file("never")
	resp, err := f.tr.RoundTrip(f.request(t, "GET", "do=hold"+query, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	readPID(t, resp)
	f.do(t, "POST", "do=pid", "") // which is kept

	f.Stop()
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", b, err)
	}
	_, err = f.tr.RoundTrip(f.request(t, "POST", "do=pid", "body"))
	if e := failure(t, err); e.Sent || e.Responded {
		t.Errorf("%+v", e)
	}
	f.Start(t)
	if _, after := f.do(t, "POST", "do=pid", "body"); after == before {
		t.Errorf("process %s is still there", after)
	}
}

// TestFPMReloaded has PHP-FPM reload under load, with a time for its workers to
// finish: every response is complete, and that of its own request.
func TestFPMReloaded(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, keep := range []int{0, 2} {
		f := startFPM(t, 3)
		f.tr.KeepAlive = keep
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for g := range 2 {
			all.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					n, body := fmt.Sprint(g, "-", i), strings.Repeat("x", i%5*20000)
					_, got, err := roundTripAll(f.tr, f.request(t, "GET", "do=number&n="+n, body))
					if err == nil && got != n+" "+body {
						t.Errorf("%s: %.40q", n, got)
					}
					if err != nil {
						failure(t, err)
					}
				}
			})
		}
		for range 3 {
			before := ""
			fakeserver.Eventually(t, "the last reload is over", func() bool {
				resp, pid, err := roundTripAll(f.tr, f.request(t, "GET", "do=pid", ""))
				before = pid
				return err == nil && resp.StatusCode == 200
			})
			f.Signal(syscall.SIGUSR2)
			fakeserver.Eventually(t, "other workers are there", func() bool {
				resp, after, err := roundTripAll(f.tr, f.request(t, "GET", "do=pid", ""))
				return err == nil && resp.StatusCode == 200 && after != before
			})
		}
		cancel()
		all.Wait()
	}
}

// TestFPMFinishRequest: a script goes on after its response. The next request on
// the kept connection waits for it, and gets its own response.
func TestFPMFinishRequest(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 2)
	f.tr.KeepAlive = 1
	path, query := f.file("go")
	_, pid := f.do(t, "GET", "do=finish"+query, "")
	if idle(f.tr) != 1 {
		t.Fatal("the connection isn't kept")
	}
	f.tr.ResponseTimeout = 200 * time.Millisecond
	_, _, err := roundTripAll(f.tr, f.request(t, "GET", "do=pid", ""))
	if e := failure(t, err); !errors.Is(err, roundtrip.ErrTimeout) || !e.Sent || e.Responded {
		t.Errorf("%+v", e)
	}
	f.tr.ResponseTimeout = 0
	if _, other := f.do(t, "GET", "do=pid", ""); other == pid { // on a new one, by the other worker
		t.Errorf("worker %s is busy, and responded", pid)
	}
	f.tr.CloseIdleConnections()
	touch(t, path)
	for i := range 3 {
		path, query := f.file(fmt.Sprint("go", i))
		_, pid := f.do(t, "GET", "do=finish"+query, "")
		time.AfterFunc(50*time.Millisecond, func() { os.WriteFile(path, nil, 0o644) })
		if _, got := f.do(t, "GET", "do=pid", ""); got != pid {
			t.Errorf("worker %s, not %s", got, pid)
		}
	}
}

// TestFPMIdleConnectionsDontPin has idle connections end before they starve
// others.
func TestFPMIdleConnectionsDontPin(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	f.tr.KeepAlive, f.tr.IdleTimeout = 1, 300*time.Millisecond
	_, pid := f.do(t, "GET", "do=pid", "")
	other := &Transport{Network: "unix", Address: f.tr.Address, Call: with(f.params)}
	if _, got, err := roundTripAll(other, f.request(t, "GET", "do=pid", "")); got != pid || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestFPMBodyThatFails shows what a body that breaks off does: PHP runs the
// script, and whoever asked gets an error.
func TestFPMBodyThatFails(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	broken := errors.New("the disk is broken")
	for _, n := range []int64{1000, 1 << 20} {
		for name, body := range map[string]io.Reader{
			"fails": io.MultiReader(strings.NewReader(strings.Repeat("x", int(n/2))), iotest.ErrReader(broken)),
			"short": strings.NewReader(strings.Repeat("x", int(n-1))),
			"long":  strings.NewReader(strings.Repeat("x", int(n+1))),
		} {
			r := f.request(t, "POST", "do=hash", "")
			r.Body, r.ContentLength = io.NopCloser(body), n
			if _, _, err := roundTripAll(f.tr, r); !errors.Is(err, roundtrip.ErrBody) {
				t.Errorf("%d, %s: %v", n, name, err)
			}
		}
	}
	f.do(t, "GET", "do=pid", "")
}
