package roundtrip

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestClosedBeforeBody: a kept connection was closed, which was seen before the
// first byte of a long body was written. The failure is the server's close, not
// that of this side after it; otherwise the request wouldn't be sent again.
func TestClosedBeforeBody(t *testing.T) {
	r, err := http.NewRequest("PUT", "http://example.org/", nil)
	if err != nil {
		t.Fatal(err)
	}
	trip := &Trip{Reused: true}
	trip.Begin(r)
	trip.err = &net.OpError{Op: "write", Net: "unix", Err: net.ErrClosed}
	trip.Abort(io.ErrUnexpectedEOF)
	if e := trip.Fail("sending", io.ErrUnexpectedEOF); !e.Stale() {
		t.Errorf("not stale: %v", e)
	}
}

// TestBodyJustArrived: a server has its time from the moment on in which a part of the
// body is there to be sent, though nothing of it was sent yet.
func TestBodyJustArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://example.org/", nil)
		if err != nil {
			t.Fatal(err)
		}
		conn, server := net.Pipe()
		defer conn.Close()
		defer server.Close()
		body, client := io.Pipe()
		var trip Trip
		trip.Begin(r)
		trip.Open(conn, new(Deadlines), false)
		trip.Limit(300 * time.Millisecond)
		trip.Start()
		go trip.ReadPart(body, make([]byte, 1), 1, false)
		for range 3 {
			time.Sleep(300 * time.Millisecond)
			if err := trip.overdue(); err != nil {
				t.Errorf("while the body is awaited: %v", err)
			}
		}
		time.Sleep(200 * time.Millisecond)
		client.Write([]byte("x"))
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) // the deadline of the last wait
		if err := trip.overdue(); err != nil {
			t.Errorf("the server had 100 ms: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
		if err := trip.overdue(); err != ErrTimeout {
			t.Errorf("the server had 300 ms: %v", err)
		}
	})
}
