package fastcgi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestStaleConnections has a kept connection be closed while it is idle: it is
// seen before anything is sent, so that even a POST is safe.
func TestStaleConnections(t *testing.T) {
	noLeaks(t)
	for name, last := range map[string]string{"closed": "", "closed after a word out of turn": stdout("x"), "a word out of turn": "-"} {
		closed := make(chan struct{}, 10)
		wait := make(chan struct{})
		tr, s := serve(t, func(f *fakeConn) {
			if _, err := f.readRequest(); err != nil {
				return
			}
			f.say(stdout(okHeader+"text"), end(0))
			<-wait
			f.say(strings.TrimPrefix(last, "-"))
			if last == "-" {
				f.say("x")
			} else {
				f.Close()
			}
			closed <- struct{}{}
			f.br.ReadByte()
		})
		tr.KeepAlive = 1
		for i := range 3 {
			if _, body, err := exchangeAll(tr, newRequest(t, "POST", "body")); body != "text" || err != nil {
				t.Errorf("%s: %q, %v", name, body, err)
			}
			if idle(tr) != 1 || s.connections() != i+1 {
				t.Errorf("%s: %d idle, %d connections", name, idle(tr), s.connections())
			}
			wait <- struct{}{}
			<-closed
			age(tr)
		}
	}
}

// TestUnrepeatableRequests don't get a connection that may be about to be closed.
func TestUnrepeatableRequests(t *testing.T) {
	noLeaks(t)
	tr, s := serve(t, answering(stdout(okHeader)+end(0)))
	tr.KeepAlive = 1
	for i, c := range []struct {
		method string
		old    bool
		want   int // connections
	}{{"POST", true, 1}, {"POST", false, 2}, {"POST", true, 2}, {"GET", false, 2}, {"PATCH", false, 3}, {"PUT", false, 3}} {
		if c.old {
			age(tr)
		}
		if _, _, err := exchangeAll(tr, newRequest(t, c.method, "body")); err != nil || s.connections() != c.want || idle(tr) != 1 {
			t.Errorf("%d: %d connections, %v", i, s.connections(), err)
		}
	}
}

// TestRepeating has a kept connection die under a request, which is sent again
// if that is right.
func TestRepeating(t *testing.T) {
	noLeaks(t)
	large := strings.Repeat("x", 3*smallBody)
	opaque := func(r *http.Request) { r.GetBody = nil }
	for _, c := range []struct {
		name, method, body string
		edit               func(r *http.Request)
		says               string // before the connection dies
		again              bool
	}{
		{"GET", "GET", "", nil, "", true},
		{"HEAD", "HEAD", "", nil, "", true},
		{"PUT", "PUT", "body", nil, "", true},
		{"DELETE", "DELETE", "", nil, "", true},
		{"POST", "POST", "body", nil, "", false},
		{"empty POST", "POST", "", nil, "", false},
		{"PATCH", "PATCH", "", nil, "", false},
		{"unknown method", "FOO", "", nil, "", false},
		{"short body without GetBody", "PUT", "body", opaque, "", true}, // it is still there
		{"long body", "PUT", large, nil, "", true},
		{"long body without GetBody", "PUT", large, opaque, "", false},
		{"long body of a POST", "POST", large, nil, "", false},
		{"GetBody fails", "PUT", large, func(r *http.Request) {
			r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		}, "", false},
		{"a byte came", "GET", "", nil, "\x01", false},
		{"error output came", "GET", "", nil, stderr("x"), false},
		{"it declined", "GET", "", nil, end(2), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, s := serve(t, func(f *fakeConn) {
				for i := 0; ; i++ {
					r, err := f.readRequest()
					if err != nil {
						return
					}
					if i == 1 && f.n == 1 {
						f.say(c.says)
						return
					}
					if f.n > 1 && r.body != c.body {
						t.Errorf("a body of %d bytes", len(r.body))
					}
					f.say(stdout(okHeader), end(0))
				}
			})
			tr.KeepAlive = 1
			if _, _, err := exchangeAll(tr, newRequest(t, "GET", "")); err != nil {
				t.Fatal(err)
			}
			age(tr)
			r := newRequest(t, c.method, c.body)
			if c.edit != nil {
				c.edit(r)
			}
			_, _, err := exchangeAll(tr, r)
			if (err == nil) != c.again {
				t.Fatalf("error %v", err)
			}
			want := 1
			if c.again {
				want = 2
			} else if e := failure(t, err); !e.Sent || e.Answered != (c.says != "") {
				t.Errorf("%+v", e)
			}
			if s.connections() != want {
				t.Errorf("%d connections", s.connections())
			}
		})
	}
}

// TestNoRepeatingOnANewConnection leaves that to the caller.
func TestNoRepeatingOnANewConnection(t *testing.T) {
	noLeaks(t)
	tr, s := serve(t, func(f *fakeConn) { f.readRequest() })
	tr.KeepAlive = 3
	_, _, err := exchangeAll(tr, newRequest(t, "GET", ""))
	if e := failure(t, err); !e.Sent || e.Answered || !errors.Is(err, io.ErrUnexpectedEOF) || s.connections() != 1 {
		t.Errorf("%+v, %d connections", e, s.connections())
	}
}

// TestClosedBeforeBody: a kept connection was closed, which was seen before the
// first byte of a long body was written. The failure is the server's close, not
// that of this side after it; else the request wouldn't be sent again.
func TestClosedBeforeBody(t *testing.T) {
	e := &exchange{r: newRequest(t, "PUT", "")}
	e.err = &net.OpError{Op: "write", Net: "unix", Err: net.ErrClosed}
	err := e.reason(io.ErrUnexpectedEOF, io.ErrUnexpectedEOF)
	q := &request{r: e.r}
	if !q.rewind(&Error{Err: err}) {
		t.Errorf("not sent again after: %v", err)
	}
}
