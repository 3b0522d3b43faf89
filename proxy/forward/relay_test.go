package forward

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mkd/config"
	"mkd/proxy/request"
)

// TestRelay passes responses of all lengths through a relay whose client is slower
// than the origin, and whose spool is small.
func TestRelay(t *testing.T) {
	for _, size := range []int{0, 1, maxWaiting, maxWaiting + 1, 1 << 20} {
		for _, c := range []struct {
			part  int
			flush bool
		}{{7001, false}, {7001, true}, {8192, false}, {maxWaiting, false}} {
			s := NewSpool(&config.Spool{MaxMemory: 1, MaxTotal: 200_000, Dir: t.TempDir()})
			rec := httptest.NewRecorder()
			r := NewRelay(&slowWriter{ResponseWriter: rec}, s)
			r.Head(202)
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
			if err := r.Finish(nil); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			if rec.Code != 202 || !bytes.Equal(rec.Body.Bytes(), want.Bytes()) {
				t.Errorf("%d bytes, %+v: %d, %d bytes came", size, c, rec.Code, rec.Body.Len())
			}
			if used := s.bytes.InUse(); used != 0 {
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
// leaves a whole response, a goroutine or a part of the spool behind.
func TestRelayBreaks(t *testing.T) {
	s := NewSpool(&config.Spool{MaxMemory: 1, MaxTotal: 1 << 20, Dir: t.TempDir()})
	r := NewRelay(&slowWriter{ResponseWriter: httptest.NewRecorder(), fail: errors.New("reset")}, s)
	r.Head(200)
	var err error
	for range 1000 {
		if _, err = r.Write(make([]byte, 10_000)); err != nil {
			break
		}
	}
	if !errors.Is(err, request.ErrClientGone) || !errors.Is(r.Finish(nil), request.ErrClientGone) {
		t.Errorf("the client left: %v", err)
	}

	broken := errors.New("broken off")
	for _, size := range []int{0, 10, 200_000} {
		rec := httptest.NewRecorder()
		r = NewRelay(rec, s)
		r.Head(200)
		r.Write(make([]byte, size))
		if err := r.Finish(broken); !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if size < maxWaiting && rec.Body.Len() > 0 {
			t.Errorf("%d bytes of a broken answer went out, though all could be kept", rec.Body.Len())
		}
	}
	if used := s.bytes.InUse(); used != 0 {
		t.Errorf("%d bytes of the spool are left in use", used)
	}
}
