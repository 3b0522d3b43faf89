package roundtrip

import (
	"io"
	"net"
	"net/http"
	"testing"
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
