package request

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// TestLimitBody: a body is read up to the limit, and not a byte beyond it is handed on.
func TestLimitBody(t *testing.T) {
	for _, c := range []struct {
		body   string
		length int64 // of the header
		limit  int64 // 0: none
		want   string
		status int // of the error; 200: none
	}{
		{"body", 4, 4, "body", 200},
		{"body", 4, 3, "", 413},
		{"body", -1, 4, "body", 200},
		{"body", -1, 3, "bod", 413},
		{"body", -1, 1, "b", 413},
		{"body", -1, 0, "body", 200},
		{"", -1, 1, "", 200},
	} {
		r := &Request{Request: &http.Request{ContentLength: c.length, Body: io.NopCloser(iotest.OneByteReader(strings.NewReader(c.body)))}}
		r.CountBody()
		var err error
		if c.limit > 0 {
			err = r.LimitBody(c.limit)
		}
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r.Body)
		}
		if string(got) != c.want || Status(err) != c.status || c.status == 200 && err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
		if c.status == 200 && r.Received() != int64(len(c.body)) {
			t.Errorf("%+v: received %d bytes", c, r.Received())
		}
	}
	// In one piece, too, nothing comes with the error.
	r := &Request{Request: &http.Request{ContentLength: -1, Body: io.NopCloser(strings.NewReader("body"))}}
	r.CountBody()
	r.LimitBody(3)
	if n, err := r.Body.Read(make([]byte, 10)); n != 0 || Status(err) != 413 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestBodyErrors: what fails while a body is read is the client's fault. Its end isn't a failure.
func TestBodyErrors(t *testing.T) {
	broken := errors.New("malformed chunk")
	r := &Request{Request: &http.Request{Body: io.NopCloser(iotest.ErrReader(broken))}}
	r.CountBody()
	if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, broken) || KindOf(err) != BadRequest {
		t.Error(err)
	}
	r = &Request{Request: &http.Request{Body: io.NopCloser(strings.NewReader(""))}}
	r.CountBody()
	if _, err := r.Body.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	r = &Request{Request: new(http.Request)}
	if r.CountBody(); r.Body != nil {
		t.Error("a body out of nothing")
	}
}

// pausing is a body of parts, before each of which it pauses.
type pausing struct {
	pause time.Duration
	parts int
}

func (b *pausing) Read(p []byte) (int, error) {
	if b.parts--; b.parts < 0 {
		return 0, io.EOF
	}
	time.Sleep(b.pause)
	return copy(p, "part"), nil
}

func (b *pausing) Close() error { return nil }

// TestTimeoutAwaitsNoClient: the timeout doesn't run while the body is read from the client, and
// begins anew with each part of it.
func TestTimeoutAwaitsNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(Request)
		ctx := r.Open(t.Context(), t.Context())
		r.Begin(&http.Request{Body: &pausing{time.Minute, 3}, ContentLength: -1}, nil)
		r.CountBody()
		r.Timeout = time.Second
		done := ctx.Done()
		r.Body.Read(make([]byte, 10))
		if _, ok := ctx.Deadline(); ok {
			t.Error("a timeout that hasn't begun")
		}
		r.StartTimeout()
		time.Sleep(time.Second - 1)
		if r.Body.Read(make([]byte, 10)); ended(done) {
			t.Error("the timeout was over while the client was awaited")
		}
		if at, ok := ctx.Deadline(); !ok || !at.Equal(time.Now().Add(time.Second)) {
			t.Errorf("it isn't begun anew: %v, %v", at, ok)
		}
		read := make(chan bool)
		go func() { r.Body.Read(make([]byte, 10)); close(read) }()
		synctest.Wait()
		r.StartTimeout() // for a response that has begun
		if _, ok := ctx.Deadline(); ok {
			t.Error("a deadline while the client is awaited")
		}
		<-read
		if time.Sleep(time.Second - 1); ended(done) {
			t.Error("it is over before its time")
		}
		if time.Sleep(time.Nanosecond); !ended(done) {
			t.Error("it isn't over")
		}
	})
}
