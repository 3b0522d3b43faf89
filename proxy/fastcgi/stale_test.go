package fastcgi

import (
	"errors"
	"io"
	"strings"
	"testing"

	"mkd/internal/testserver/fakeserver"
)

// TestStaleConnections closes a kept connection while it is idle: this is seen
// before anything is sent, so that even a POST is safe.
func TestStaleConnections(t *testing.T) {
	fakeserver.NoLeaks(t)
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
			if _, body, err := roundTripAll(tr, newRequest(t, "POST", "body")); body != "text" || err != nil {
				t.Errorf("%s: %q, %v", name, body, err)
			}
			if idle(tr) != 1 || s.Connections() != i+1 {
				t.Errorf("%s: %d idle, %d connections", name, idle(tr), s.Connections())
			}
			wait <- struct{}{}
			<-closed
			age(tr)
		}
	}
}

// TestUnrepeatableRequests don't get a connection that may be about to be closed.
func TestUnrepeatableRequests(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(stdout(okHeader)+end(0)))
	tr.KeepAlive = 1
	for i, c := range []struct {
		method string
		old    bool
		want   int // connections
	}{{"POST", true, 1}, {"POST", false, 2}, {"POST", true, 2}, {"GET", false, 2}, {"PATCH", false, 3}, {"PUT", false, 3}} {
		if c.old {
			age(tr)
		}
		if _, _, err := roundTripAll(tr, newRequest(t, c.method, "body")); err != nil || s.Connections() != c.want || idle(tr) != 1 {
			t.Errorf("%d: %d connections, %v", i, s.Connections(), err)
		}
	}
}

// TestStaleUnderTheRequest: a kept connection dies under a request. The request
// isn't sent again here, whatever it is: the error reports what happened, and who
// chooses the servers decides.
func TestStaleUnderTheRequest(t *testing.T) {
	fakeserver.NoLeaks(t)
	large := strings.Repeat("x", 3*smallBody)
	for _, c := range []struct {
		name, method, body string
		says               string // before the connection dies
		stale              bool
	}{
		{"GET", "GET", "", "", true},
		{"POST", "POST", "body", "", true},
		{"long body", "PUT", large, "", true},
		{"a byte came", "GET", "", "\x01", false},
		{"error output came", "GET", "", stderr("x"), false},
		{"it declined", "GET", "", end(2), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, s := serve(t, func(f *fakeConn) {
				for i := 0; ; i++ {
					if _, err := f.readRequest(); err != nil {
						return
					}
					if i == 1 {
						f.say(c.says)
						return
					}
					f.say(stdout(okHeader), end(0))
				}
			})
			tr.KeepAlive = 1
			if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil {
				t.Fatal(err)
			}
			age(tr)
			_, _, err := roundTripAll(tr, newRequest(t, c.method, c.body))
			if e := failure(t, err); !e.Sent || !e.Reused || e.Responded != (c.says != "") || e.Stale() != c.stale {
				t.Errorf("%+v, stale: %t", e, e.Stale())
			}
			if s.Connections() != 1 {
				t.Errorf("%d connections", s.Connections())
			}
		})
	}
}

// TestNotStaleOnANewConnection dies under the first request of a connection.
func TestNotStaleOnANewConnection(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, func(f *fakeConn) { f.readRequest() })
	tr.KeepAlive = 3
	_, _, err := roundTripAll(tr, newRequest(t, "GET", ""))
	if e := failure(t, err); !e.Sent || e.Responded || e.Stale() || !errors.Is(err, io.ErrUnexpectedEOF) || s.Connections() != 1 {
		t.Errorf("%+v, %d connections", e, s.Connections())
	}
}
