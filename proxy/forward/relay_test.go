package forward

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
			r := NewRelay(&slowWriter{ResponseWriter: rec}, new(request.Request), s)
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
	r := NewRelay(&slowWriter{ResponseWriter: httptest.NewRecorder(), fail: errors.New("reset")}, new(request.Request), s)
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
		r = NewRelay(rec, new(request.Request), s)
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

// TestRelaysInMemory: clients that read nothing hold no more memory than the spool has,
// and the responses are whole in the end.
func TestRelaysInMemory(t *testing.T) {
	const clients, size, most = 20, 300_000, 4*maxWaiting + 1
	s := NewSpool(&config.Spool{MaxMemory: most, MaxTotal: 1 << 30, Dir: t.TempDir()})
	reads := make(chan struct{})
	var relays [clients]*Relay
	var got [clients]*httptest.ResponseRecorder
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(i >> 8)
	}
	for i := range relays {
		got[i] = httptest.NewRecorder()
		relays[i] = NewRelay(&heldWriter{got[i], reads}, new(request.Request), s)
		relays[i].Head(200)
		if n, err := relays[i].Write(want); n != size || err != nil {
			t.Fatal(n, err)
		}
	}
	if all, memory := s.InUse(); memory < most-maxWaiting || memory > most || all < clients*(size-2*maxWaiting) {
		t.Errorf("%d responses take %d bytes, %d of them of memory", clients, all, memory)
	}
	close(reads)
	for i, relay := range relays {
		if err := relay.Finish(nil); err != nil || !bytes.Equal(got[i].Body.Bytes(), want) {
			t.Errorf("client %d got %d bytes, %v", i, got[i].Body.Len(), err)
		}
	}
	if all, memory := s.InUse(); all != 0 || memory != 0 {
		t.Errorf("%d bytes are left in use, and %d of memory", all, memory)
	}
}

// heldWriter is a client that reads nothing until reads is closed.
type heldWriter struct {
	http.ResponseWriter
	reads chan struct{}
}

func (w *heldWriter) Write(p []byte) (int, error) {
	<-w.reads
	return w.ResponseWriter.Write(p)
}

// TestRelayLeavesRoom: what one client doesn't read leaves room for the bodies of others.
func TestRelayLeavesRoom(t *testing.T) {
	s := NewSpool(&config.Spool{Memory: 1 << 10, MaxMemory: 1 << 20, MaxTotal: 1 << 20, Dir: t.TempDir()})
	from := func(client string) *request.Request {
		r := &request.Request{Request: httptest.NewRequest("POST", "/", bytes.NewReader(make([]byte, 100_000)))}
		r.Client = netip.MustParseAddrPort(client)
		return r
	}
	relay := NewRelay(httptest.NewRecorder(), from("192.0.2.1:1"), s)
	for { // as Write does while the client reads nothing
		n, err := relay.keep(make([]byte, spoolStep))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if used := s.bytes.InUse(); used < 1<<19 {
		t.Errorf("one client has %d bytes of %d", used, 1<<20)
	}
	body, err := s.Receive(from("192.0.2.2:1"))
	if err != nil {
		t.Fatalf("another client's body: %v", err)
	}
	body.Close()
	relay.Finish(errors.New("broken off"))
	if used, clients := s.bytes.InUse(), s.bytes.Clients(); used != 0 || clients != 0 {
		t.Errorf("%d bytes of %d clients are left in use", used, clients)
	}
}
