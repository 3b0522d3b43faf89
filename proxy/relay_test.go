package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestSlowReadersHoldNoWorker: with one worker, clients that take nothing of
// large answers don't keep others waiting.
func TestSlowReadersHoldNoWorker(t *testing.T) {
	const size = 20 << 20
	code := fmt.Sprintf("str_repeat('x', %d)", size)
	f := startFPM(t, 1, map[string]string{"big.php": "<?php echo " + code + ";", "index.php": "<?php echo 'quick';"})
	script := onHTTP(t, "$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => $r->path === '/big.php' ? "+code+" : 'quick'];")
	for name, backend := range map[string]string{
		"workers": "php: {script: " + script + ", workers: {min: 1, max: 1}, queue_timeout: 20s}",
		"fpm":     `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + "}",
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {`+backend+`}
routes:
  - backend: site
`))
			var slow []net.Conn
			for range 3 {
				conn, err := net.Dial("tcp", p.Addr("web").String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, "GET /big.php HTTP/1.1\r\nHost: x\r\n\r\n")
				slow = append(slow, conn)
			}
			for _, conn := range slow { // each has the head, so the worker has been at it
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
			}
			if a := sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !bytes.HasPrefix(a, []byte("HTTP/1.1 200 ")) {
				t.Errorf("%.200q", a)
			}
			for _, conn := range slow { // and nothing of theirs is lost
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				n, err := io.CopyN(io.Discard, conn, size)
				if err != nil {
					t.Errorf("after %d bytes: %v", n, err)
				}
			}
		})
	}
}

// TestRelay passes answers of all lengths through a relay whose client is slower
// than the origin, and whose spool is small.
func TestRelay(t *testing.T) {
	for _, size := range []int{0, 1, maxWaiting, maxWaiting + 1, 1 << 20} {
		for _, c := range []struct {
			part  int
			flush bool
		}{{7001, false}, {7001, true}, {8192, false}, {maxWaiting, false}} {
			s := &spool{memory: 1, limit: 200_000, dir: t.TempDir()}
			rec := httptest.NewRecorder()
			r := newRelay(&slowWriter{ResponseWriter: rec}, s)
			r.head(202)
			var want bytes.Buffer
			for want.Len() < size {
				part := bytes.Repeat([]byte{byte(want.Len())}, min(c.part, size-want.Len()))
				want.Write(part)
				if n, err := r.Write(part); n != len(part) || err != nil {
					t.Fatalf("Write: %d, %v", n, err)
				}
				if c.flush {
					r.Flush()
				}
			}
			if err := r.finish(nil); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			if rec.Code != 202 || !bytes.Equal(rec.Body.Bytes(), want.Bytes()) {
				t.Errorf("%d bytes, %+v: %d, %d bytes came", size, c, rec.Code, rec.Body.Len())
			}
			if used := s.used.Load(); used != 0 {
				t.Errorf("%d bytes of the spool are left in use", used)
			}
		}
	}
}

// slowWriter is a client that is slower than an origin.
type slowWriter struct {
	http.ResponseWriter
	fail error
}

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	if w.fail != nil {
		return 0, w.fail
	}
	return w.ResponseWriter.Write(p)
}

// TestRelayBreaks: neither a client that leaves nor an origin that breaks off
// leaves a whole answer, a goroutine or a part of the spool behind.
func TestRelayBreaks(t *testing.T) {
	s := &spool{memory: 1, limit: 1 << 20, dir: t.TempDir()}
	r := newRelay(&slowWriter{ResponseWriter: httptest.NewRecorder(), fail: errors.New("reset")}, s)
	r.head(200)
	var err error
	for range 1000 {
		if _, err = r.Write(make([]byte, 10_000)); err != nil {
			break
		}
	}
	if !errors.Is(err, errClientGone) || !errors.Is(r.finish(nil), errClientGone) {
		t.Errorf("the client left: %v", err)
	}

	broken := errors.New("broken off")
	for _, size := range []int{0, 10, 200_000} {
		rec := httptest.NewRecorder()
		r = newRelay(rec, s)
		r.head(200)
		r.Write(make([]byte, size))
		if err := r.finish(broken); !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if size < maxWaiting && rec.Body.Len() > 0 {
			t.Errorf("%d bytes of a broken answer went out, though all could be kept", rec.Body.Len())
		}
	}
	if used := s.used.Load(); used != 0 {
		t.Errorf("%d bytes of the spool are left in use", used)
	}
}
