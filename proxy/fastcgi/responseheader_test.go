package fastcgi

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

func TestHeaders(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, c := range []struct {
		name, says string
		code       int
		status     string
		header     http.Header
		body       string
		length     int64
	}{
		{"plain", "Content-Type: text/html\r\n\r\nbody", 200, "200 OK", http.Header{"Content-Type": {"text/html"}}, "body", -1},
		{"bare line feeds", "content-type:text/html\n\nbody\n\n", 200, "200 OK", http.Header{"Content-Type": {"text/html"}}, "body\n\n", -1},
		{"status", "Status: 404 Not Found\r\nA: b\r\n\r\n", 404, "404 Not Found", http.Header{"A": {"b"}}, "", -1},
		{"status alone", "Status: 503\r\n\r\nlater", 503, "503 Service Unavailable", http.Header{}, "later", -1},
		{"reason of its own", "Status: 299  Very Well\r\n\r\n", 299, "299  Very Well", http.Header{}, "", -1},
		{"status at the end", "A: b\r\nsTATUS: 999\r\n\r\n", 999, "999 ", http.Header{"A": {"b"}}, "", -1},
		{"location", "Location: https://example.org/\r\n\r\n", 302, "302 Found", http.Header{"Location": {"https://example.org/"}}, "", -1},
		{"path", "Location: /x?y\r\n\r\n", 302, "302 Found", http.Header{"Location": {"/x?y"}}, "", -1},
		{"location with status", "Location: /x\r\nStatus: 201 Created\r\n\r\n", 201, "201 Created", http.Header{"Location": {"/x"}}, "", -1},
		{"several", "Set-Cookie: a=1\r\nset-cookie: b=2\r\nX: 1\r\n\r\n", 200, "200 OK", http.Header{"Set-Cookie": {"a=1", "b=2"}, "X": {"1"}}, "", -1},
		{"length", "Content-Length: 4\r\n\r\nbody", 200, "200 OK", http.Header{"Content-Length": {"4"}}, "body", 4},
		{"length twice", "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody", 200, "200 OK", http.Header{"Content-Length": {"4"}}, "body", 4},
		{"length 0", "Content-Length: 0\r\n\r\n", 200, "200 OK", http.Header{"Content-Length": {"0"}}, "", 0},
		{"empty and spaced values", "A:\r\nB: \t x y \t\r\nC:ü\r\n\r\n", 200, "200 OK", http.Header{"A": {""}, "B": {"x y"}, "C": {"ü"}}, "", -1},
		{"204 with a body", "Status: 204\r\nContent-Length: 4\r\n\r\nbody", 204, "204 No Content", http.Header{}, "", 0},
		{"304", "Status: 304\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\n", 304, "304 Not Modified", http.Header{"Etag": {`"x"`}, "Content-Length": {"9"}}, "", 0},
		{"103", "Status: 103\r\nLink: x\r\n\r\nbody", 103, "103 Early Hints", http.Header{"Link": {"x"}}, "", 0},
	} {
		for _, size := range []int{1, 3, 1000} { // of a record
			var says strings.Builder
			for part := range slices.Chunk([]byte(c.says), size) {
				says.WriteString(record(1, 6, 1, string(part), size%8))
			}
			tr, _ := serve(t, responding(says.String()+end(0)))
			r := newRequest(t, "GET", "")
			resp, body, err := roundTripAll(tr, r)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			length := resp.ContentLength
			if c.length < 0 && length == int64(len(c.body)) {
				length = -1 // all of it had come already
			}
			if resp.StatusCode != c.code || resp.Status != c.status || body != c.body || length != c.length ||
				resp.Request != r || resp.Proto != "HTTP/1.1" {
				t.Errorf("%s: %+v, %q", c.name, resp, body)
			}
			if len(resp.Header) != len(c.header) {
				t.Errorf("%s: %q", c.name, resp.Header)
			}
			for k, v := range c.header {
				if !slices.Equal(resp.Header[k], v) {
					t.Errorf("%s: %s is %q", c.name, k, resp.Header[k])
				}
			}
		}
	}
}

func TestHeadersThatArent(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, says := range []string{
		"\r\nbody", "\n", "no colon\r\n\r\n", ": no name\r\n\r\n", "Bad Name: x\r\n\r\n", "Name : x\r\n\r\n", "A: b\r\n folded\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n", "Nä: x\r\n\r\n", "A: b\x00c\r\n\r\n", "A: b\rc\r\n\r\n", "A: b\x1b\r\n\r\n", "A: \x7f\r\n\r\n", "A\r: b\r\n\r\n", "\x00: b\r\n\r\n",
		"A: b\r\r\n\r\n", "\r\r\n\r\n",
		"Status: 99\r\n\r\n", "Status: 099\r\n\r\n", "Status: 1000\r\n\r\n", "Status: abc\r\n\r\n", "Status: 2x0\r\n\r\n", "Status:\r\n\r\n", "Status: -20\r\n\r\n",
		"Status: +20\r\n\r\n", "Status: 200OK\r\n\r\n", "Status: 200\tOK\r\n\r\n", "Status: 200\r\nStatus: 200\r\n\r\n", "Status: 101 Switching Protocols\r\n\r\n",
		"Content-Length: -1\r\n\r\n", "Content-Length: +1\r\n\r\nx", "Content-Length: 1, 1\r\n\r\nx", "Content-Length: 0x1\r\n\r\nx", "Content-Length:\r\n\r\n",
		"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", "Content-Length: 9223372036854775808\r\n\r\n", "Content-Length: ١\r\n\r\n",
		"X: " + strings.Repeat("x", DefaultMaxHeader) + "\r\n\r\n",
		strings.Repeat("X: x\r\n", DefaultMaxHeader/6+1) + "\r\n\r\n", strings.Repeat("x", 2*DefaultMaxHeader),
	} {
		var parts strings.Builder
		for p := range slices.Chunk([]byte(says), 60000) {
			parts.WriteString(stdout(string(p)))
		}
		tr, _ := serve(t, responding(parts.String()+end(0)))
		resp, _, err := roundTripAll(tr, newRequest(t, "GET", ""))
		if !errors.Is(err, roundtrip.ErrHeader) || resp != nil {
			t.Errorf("%.60q: %v", says, err)
			continue
		}
		if e := failure(t, err); !e.Responded || !e.Sent || len(err.Error()) > 400 {
			t.Errorf("%.60q: %+v", says, e)
		}
	}
}

func TestMaxHeader(t *testing.T) {
	fakeserver.NoLeaks(t)
	header := "X: " + strings.Repeat("x", 91) + "\r\n\r\n" // 98 bytes
	tr, _ := serve(t, responding(stdout(header+"a body that doesn't count"), end(0)))
	tr.MaxHeader = 98
	if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil {
		t.Error(err)
	}
	tr.MaxHeader = 97
	if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); !errors.Is(err, roundtrip.ErrHeader) {
		t.Error(err)
	}
}

func TestHEAD(t *testing.T) {
	fakeserver.NoLeaks(t)
	wait := make(chan struct{})
	tr, s := serve(t, func(f *fakeConn) {
		for {
			if _, err := f.readRequest(); err != nil {
				return
			}
			f.say(stdout("Content-Length: 1000\r\n\r\npart"))
			<-wait // a server that sends a body in response to HEAD, and slowly
			f.say(stdout(" and more"), end(0))
		}
	})
	tr.KeepAlive = 1
	for range 2 {
		resp, err := tr.RoundTrip(newRequest(t, "HEAD", ""))
		if err != nil {
			t.Fatal(err)
		}
		if resp.ContentLength != 1000 || resp.Header.Get("Content-Length") != "1000" {
			t.Errorf("%+v", resp)
		}
		wait <- struct{}{}
		if b, err := io.ReadAll(resp.Body); len(b) > 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		resp.Body.Close()
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}

// TestBodylessFreesItsConnection needs nobody to read a body that can't be there.
func TestBodylessFreesItsConnection(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, responding(stdout("Status: 204\r\n\r\n")+end(0)))
	tr.KeepAlive = 1
	resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
	if err != nil || resp.Body != http.NoBody || idle(tr) != 1 {
		t.Errorf("%+v, %v", resp, err)
	}
}

// TestLengthOfWhole: the length is known of what has come with its end.
func TestLengthOfWhole(t *testing.T) {
	fakeserver.NoLeaks(t)
	head := stdout("A: b\r\n\r\n")
	for _, c := range []struct {
		says   string
		length int64
	}{
		{stdout("A: b\r\n\r\nbody") + end(0), 4},
		{head + stdout("bo") + record(1, 7, 1, "a word aside", 4) + record(1, 6, 1, "dy", 3) + stdout("") + end(0), 4},
		{head + end(0), 0},
		{head + stdout("body") + end(0)[:15], -1},            // its end hasn't come
		{head + stdout("body") + end(2), -1},                 // a refusal
		{head + stdout("body") + end(0) + "x", -1},           // something after it
		{head + stdout("body") + record(1, 9, 1, "", 0), -1}, // nonsense
		{head + stdout(strings.Repeat("x", roundtrip.ReaderSize)) + end(0), -1},
	} {
		tr, _ := serve(t, responding(c.says))
		resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Errorf("%.80q: %v", c.says, err)
			continue
		}
		if resp.ContentLength != c.length {
			t.Errorf("%.80q: %d, want %d", c.says, resp.ContentLength, c.length)
		}
		resp.Body.Close()
	}
}

// TestReceived checks that a body reports when all of it has been received.
func TestReceived(t *testing.T) {
	fakeserver.NoLeaks(t)
	for name, c := range map[string]struct {
		says string
		want bool
	}{
		"complete":            {stdout("Content-Length: 4\r\n\r\ntext") + end(0), true},
		"without a length":    {stdout(okHeader+"text") + end(0), true},
		"without END_REQUEST": {stdout("Content-Length: 4\r\n\r\ntext"), false},
		"half":                {stdout("Content-Length: 4\r\n\r\nte"), false},
	} {
		tr, _ := serve(t, func(f *fakeConn) {
			if _, err := f.readRequest(); err == nil {
				f.say(c.says)
				f.br.ReadByte()
			}
		})
		resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Body.(interface{ Received() bool }).Received(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		resp.Body.Close()
	}
}
