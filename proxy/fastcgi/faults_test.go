package fastcgi

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

const okHeader = "Content-Type: text/plain\r\n\r\n"

// TestFaults: a server goes wrong in every way. None of it may look like a
// whole response.
func TestFaults(t *testing.T) {
	fakeserver.NoLeaks(t)
	half := stdout(okHeader + "half")
	for _, c := range []struct {
		name   string
		says   string
		want   error
		text   string // in the error
		body   bool   // whether the response's header is right
		quiet  bool   // whether no byte of a response came
		method string
	}{
		{name: "closes at once", want: io.ErrUnexpectedEOF, quiet: true},
		{name: "half a record's header", says: "\x01\x06\x00", want: io.ErrUnexpectedEOF},
		{name: "half a record", says: stdout(okHeader + "text")[:20], want: io.ErrUnexpectedEOF},
		{name: "half a header", says: stdout("Content-Type: text/plain\r\n"), want: io.ErrUnexpectedEOF},
		{name: "only error output", says: stderr("oops\n"), want: io.ErrUnexpectedEOF},
		{name: "ends in the header", says: stdout("Content-Type: text/plain\r\n") + end(0), want: roundtrip.ErrHeader, text: "before its header"},
		{name: "ends without a header", says: end(0), want: roundtrip.ErrHeader},
		{name: "ends with error output only", says: stderr("oops") + end(0), want: roundtrip.ErrHeader},
		{name: "no END_REQUEST", says: half, want: io.ErrUnexpectedEOF, body: true},
		{name: "no END_REQUEST after the end of STDOUT", says: half + stdout(""), want: io.ErrUnexpectedEOF, body: true},
		{name: "half an END_REQUEST", says: half + end(0)[:12], want: io.ErrUnexpectedEOF, body: true},
		{name: "padding cut", says: half + record(1, 6, 1, "more", 9)[:8+4+3], want: io.ErrUnexpectedEOF, body: true},
		{name: "END_REQUEST's padding cut", says: half + record(1, 3, 1, strings.Repeat("\x00", 8), 9)[:17], want: io.ErrUnexpectedEOF, body: true},
		{name: "too short for its length", says: stdout("Content-Length: 5\r\n\r\nhalf") + end(0), want: io.ErrUnexpectedEOF, text: "shorter", body: true},
		{name: "nothing of its length", says: stdout("Content-Length: 5\r\n\r\n") + end(0), want: io.ErrUnexpectedEOF, text: "shorter", body: true},
		{name: "declines: multiplexing", says: end(1), want: ErrCannotMultiplex},
		{name: "declines: overloaded", says: end(2), want: ErrOverloaded},
		{name: "declines: role", says: end(3), want: ErrUnknownRole},
		{name: "declines: unknown", says: end(200), want: RefusedError(200), text: "(200)"},
		{name: "declines in the middle", says: half + end(2), want: ErrOverloaded, body: true},
		{name: "version 2", says: record(2, 6, 1, okHeader, 0), want: ErrProtocol, text: "version 2"},
		{name: "HTTP in place of FastCGI", says: "HTTP/1.1 400 Bad Request\r\n\r\n", want: ErrProtocol, text: "version 72"},
		{name: "another's id", says: record(1, 6, 2, okHeader, 0), want: ErrProtocol, text: "request 2"},
		{name: "another's id in the body", says: half + record(1, 6, 2, "x", 0), want: ErrProtocol, body: true},
		{name: "another's end", says: half + record(1, 3, 3, strings.Repeat("\x00", 8), 0), want: ErrProtocol, body: true},
		{name: "management", says: record(1, 11, 0, "\x00\x00\x00\x00\x00\x00\x00\x00", 0), want: ErrProtocol},
		{name: "unknown type", says: half + record(1, 99, 1, "", 0), want: ErrProtocol, text: "type 99", body: true},
		{name: "STDIN from the server", says: half + record(1, 5, 1, "x", 0), want: ErrProtocol, body: true},
		{name: "END_REQUEST too long", says: half + record(1, 3, 1, strings.Repeat("\x00", 16), 0), want: ErrProtocol, body: true},
		{name: "STDOUT after its end", says: half + stdout("") + stdout("x") + end(0), want: ErrProtocol, text: "after its end", body: true},
		{name: "content after END_REQUEST", says: half + end(0) + stdout("x"), want: ErrProtocol, text: "after END_REQUEST", body: true},
		{name: "another response after the end", says: half + end(0) + half + end(0), want: ErrProtocol, body: true},
		{name: "a byte after the end", says: half + end(0) + "x", want: ErrProtocol, body: true},
		{name: "HEAD without an end", says: half, want: io.ErrUnexpectedEOF, body: true, method: "HEAD"},
		{name: "HEAD with more after the end", says: half + end(0) + "x", want: ErrProtocol, method: "HEAD"},
		{name: "204 without an end", says: stdout("Status: 204\r\n\r\n"), want: io.ErrUnexpectedEOF, body: true},
	} {
		for _, keep := range []int{0, 1} {
			t.Run(c.name, func(t *testing.T) {
				tr, s := serve(t, func(f *fakeConn) {
					if _, err := f.readRequest(); err == nil {
						f.say(c.says)
					}
				})
				tr.KeepAlive = keep
				r := newRequest(t, c.method, "")
				resp, body, err := roundTripAll(tr, r)
				if (resp != nil) != c.body {
					t.Fatalf("response %v, error %v", resp, err)
				}
				if !errors.Is(err, c.want) || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("error %v after %q", err, body)
				}
				if e := failure(t, err); !e.Sent || e.Responded == c.quiet || e.Address != tr.Address || e.Timeout() {
					t.Errorf("%+v", e)
				}
				if idle(tr) != 0 || s.Connections() != 1 {
					t.Errorf("%d idle connections, %d in all", idle(tr), s.Connections())
				}
			})
		}
	}
}

// TestMoreThanContentLength checks that bytes beyond the Content-Length are
// dropped, that this is reported once, and that the connection isn't used again.
func TestMoreThanContentLength(t *testing.T) {
	fakeserver.NoLeaks(t)
	flood := strings.Repeat(stdout(strings.Repeat("x", 60_000)), 1000)
	for _, c := range []struct{ name, says, want string }{
		{"in one record", stdout("Content-Length: 3\r\n\r\nabc\n") + end(0), "abc"},
		{"in another record", stdout("Content-Length: 3\r\n\r\nabc") + stdout("\n") + end(0), "abc"},
		{"in many records", stdout("Content-Length: 3\r\n\r\nabc") + strings.Repeat(stdout("\n"), 1000) + stdout("") + end(0), "abc"},
		{"length 0", stdout("Content-Length: 0\r\n\r\nx") + end(0), ""},
		{"error output in between", stdout("Content-Length: 3\r\n\r\nabc") + stderr("oops\n") + stdout("x") + end(0), "abc"},
		{"60 MB", stdout("Content-Length: 3\r\n\r\nabc") + flood + end(0), "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, s := serve(t, func(f *fakeConn) {
				if _, err := f.readRequest(); err == nil {
					if _, err := io.WriteString(f.Conn, c.says); (err != nil) != (len(c.says) > 10*maxExcess) {
						t.Errorf("writing %d bytes: %v", len(c.says), err)
					}
				}
			})
			reports := 0
			tr.KeepAlive = 1
			tr.Call = also(tr.Call, func(c *Call, _ *http.Request) { c.Events = excessFunc(func() { reports++ }) })
			for n := range 2 {
				resp, body, err := roundTripAll(tr, newRequest(t, "GET", ""))
				if err != nil || body != c.want || resp.ContentLength != int64(len(c.want)) {
					t.Errorf("%.100q, %v", body, err)
				}
				if reports != n+1 || idle(tr) != 0 || s.Connections() != n+1 {
					t.Errorf("%d reports of %d responses; %d idle connections of %d", reports, n+1, idle(tr), s.Connections())
				}
			}
		})
	}
	// A response that is cut after it stays one that is cut.
	tr, _ := serve(t, func(f *fakeConn) {
		if _, err := f.readRequest(); err == nil {
			f.say(stdout("Content-Length: 3\r\n\r\nabc") + stdout("x"))
		}
	})
	if _, body, err := roundTripAll(tr, newRequest(t, "GET", "")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", body, err)
	}
}

// TestEveryCut: a response ends at every byte; none but the whole one is whole.
func TestEveryCut(t *testing.T) {
	fakeserver.NoLeaks(t)
	whole := stderr("note\n") + record(1, 6, 1, "Status: 201\r\nContent-Type: text/plain\r\n\r\n", 3) + stdout("some text") + record(1, 7, 1, "", 2) +
		stdout(" and more") + stdout("") + end(0)
	cut := len(whole)
	tr, _ := serve(t, func(f *fakeConn) {
		if _, err := f.readRequest(); err == nil {
			f.say(whole[:cut])
		}
	})
	for cut = range len(whole) {
		if resp, body, err := roundTripAll(tr, newRequest(t, "GET", "")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v, %q, %v", cut, resp, body, err)
		}
	}
	cut = len(whole)
	if resp, body, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil || resp.StatusCode != 201 || body != "some text and more" {
		t.Fatalf("%v, %q, %v", resp, body, err)
	}
}

// TestReadAfterAnError keeps an error, whoever asks again.
func TestReadAfterAnError(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.readRequest()
		f.say(stdout(okHeader + "half"))
	})
	resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	_, first := io.ReadAll(resp.Body)
	if _, again := resp.Body.Read(make([]byte, 10)); again != first || !errors.Is(first, io.ErrUnexpectedEOF) {
		t.Errorf("%v, then %v", first, again)
	}
	resp.Body.Close()
	resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 10)); !errors.Is(err, roundtrip.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestCloseAborts(t *testing.T) {
	fakeserver.NoLeaks(t)
	gone := make(chan error, 1)
	tr, _ := serve(t, func(f *fakeConn) {
		f.readRequest()
		f.say(stdout(okHeader + "some"))
		_, err := f.br.ReadByte()
		gone <- err
	})
	tr.KeepAlive = 1
	resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	some := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, some); string(some) != "some" || err != nil {
		t.Fatalf("%q, %v", some, err)
	}
	reading := make(chan error)
	go func() {
		_, err := resp.Body.Read(some)
		reading <- err
	}()
	if err := resp.Body.Close(); err != nil { // before that reads, or while it does
		t.Error(err)
	}
	if err := <-reading; !errors.Is(err, roundtrip.ErrClosed) {
		t.Errorf("the reader met %v", err)
	}
	if err := <-gone; err != io.EOF {
		t.Errorf("the server met %v", err)
	}
	if idle(tr) != 0 {
		t.Error("the connection is kept")
	}
}

// TestCloseOfACompleteResponse keeps the connection of a response that has come,
// though nobody read it.
func TestCloseOfACompleteResponse(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(stdout(okHeader+"text")+stderr("x")+end(0)))
	tr.KeepAlive = 1
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}

func TestErrorOutput(t *testing.T) {
	fakeserver.NoLeaks(t)
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		parts []string
		want  []string
	}{
		{[]string{"one\n"}, []string{"one"}},
		{[]string{"on", "e\r\ntw", "o\n\n\nthree"}, []string{"one", "two", "three"}},
		{[]string{long + "\n"}, []string{long}},
		{[]string{long, "\n", long, "y\nz"}, []string{long, long, "y", "z"}},
		{[]string{"a\x00\x1b[31m\n"}, []string{"a\x00\x1b[31m"}},
		{slices.Repeat([]string{strings.Repeat("x\n", 100)}, 12), append(slices.Repeat([]string{"x"}, maxLines), "200 bytes more of error output were left out")},
		{slices.Repeat([]string{long + "\n"}, 70), append(slices.Repeat([]string{long}, 64), "24576 bytes more of error output were left out")},
	} {
		var says strings.Builder
		for i, p := range c.parts {
			says.WriteString(stderr(p))
			if i == len(c.parts)/2 {
				says.WriteString(stdout(okHeader + "text"))
			}
		}
		tr, _ := serve(t, responding(says.String()+end(0)))
		var got []string
		r := newRequest(t, "GET", "")
		quiet := tr.Call
		tr.Call = also(quiet, func(c *Call, of *http.Request) {
			c.Stderr = func(line string) {
				if of != r {
					t.Error("another request")
				}
				got = append(got, line)
			}
		})
		if _, body, err := roundTripAll(tr, r); body != "text" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%.40q: got %.200q", c.parts, got)
		}
		tr.Call = quiet
		if _, body, err := roundTripAll(tr, r); body != "text" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	}
}

// TestFloodOfErrorOutput doesn't hold a reader up for longer than a read may take.
func TestFloodOfErrorOutput(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.readRequest()
		f.say(stdout(okHeader))
		for line := stderr(strings.Repeat("x", 1000)); ; {
			if _, err := io.WriteString(f, line); err != nil {
				return
			}
		}
	})
	tr.ReadTimeout = 200 * time.Millisecond
	if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); !errors.Is(err, roundtrip.ErrTimeout) {
		t.Errorf("error %v", err)
	}
}

// excessFunc is Events that are a function for Excess.
type excessFunc func()

func (f excessFunc) Inform(int, http.Header) error { return nil }
func (f excessFunc) Excess()                       { f() }
