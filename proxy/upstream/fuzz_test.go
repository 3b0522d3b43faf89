package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"mkd/proxy/roundtrip"
)

// FuzzResponse compares the parser of responses to that of net/http: what this one
// takes, that one takes too, and understands in the same way.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		ok,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n4;x=y\r\ntext\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 200 OK\nA: b\n\ntext",
		"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"HTTP/1.1 200\r\nA:\t b \t\r\na: \xff\r\nPragma: no-cache\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close, x\r\nKeep-Alive: timeout=5\r\n\r\ntext",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		end := strings.Index(s, "\n\n")
		if i := strings.Index(s, "\n\r\n"); i >= 0 && (end < 0 || i < end) {
			end = i + 1
		}
		if end < 0 {
			return
		}
		end += 2
		var ours http.Response
		err := parseHead(s[:end-1]+"\n", &ours, nil, nil)
		var ending ending
		if err == nil {
			ending, err = frame(&ours, method)
		}
		if err != nil {
			if !errors.Is(err, roundtrip.ErrHeader) {
				t.Fatal(err)
			}
			return
		}
		br := bufio.NewReader(strings.NewReader(s))
		theirs, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("only we take %q: %v", s, err)
		}
		if ours.StatusCode != theirs.StatusCode || strings.TrimLeft(ours.Status, " ") != theirs.Status || ours.Proto != theirs.Proto {
			t.Fatalf("%q, %q, %q", s, ours.Status, theirs.Status)
		}
		for name, values := range theirs.Header {
			if name == "Cache-Control" && ours.Header[name] == nil {
				continue // net/http adds it to Pragma: no-cache
			}
			if name == "Content-Length" && (ours.StatusCode < 200 || ours.StatusCode == 204) {
				continue // removed here
			}
			if name == "Trailer" {
				continue // removed here if chunked, there if it's sensible
			}
			var trimmed []string
			for _, v := range values {
				trimmed = append(trimmed, strings.Trim(v, " \t"))
			}
			if name == "Content-Length" {
				trimmed = trimmed[:1]
			}
			if !reflect.DeepEqual(ours.Header[name], trimmed) {
				t.Fatalf("%q: %s is %q, %q", s, name, ours.Header[name], values)
			}
		}
		for name := range ours.Header {
			if theirs.Header[name] == nil && name != "Trailer" && name != "Connection" { // net/http removes close
				t.Fatalf("%q: only we have %s", s, name)
			}
		}
		if ours.StatusCode < 200 || ours.StatusCode == http.StatusNotModified || ours.StatusCode == http.StatusNoContent {
			return // no body
		}
		if ours.ContentLength != theirs.ContentLength || (ending == atChunk) != (len(theirs.TransferEncoding) == 1 && !head) || (ending == atHead) != (theirs.Body == http.NoBody) && theirs.ContentLength != 0 && !head {
			t.Fatalf("%q: length %d, %d, ending %d", s, ours.ContentLength, theirs.ContentLength, ending)
		}
	})
}

// FuzzHead checks that a request which is sent is one request to net/http, and
// has the fields that were given.
func FuzzHead(f *testing.F) {
	f.Add("GET", "example.org", "/path", "query", "Name", "value", int64(0))
	f.Add("POST", "a:1", "/a%2Fb", "", "Content-Length", "3", int64(7))
	f.Add("PUT", "[::1]:80", "*", "x", "transfer-encoding", "chunked", int64(-1))
	f.Add("GET", "x", "//x/y", "a b", "A", "b\r\nC: d", int64(0))
	f.Fuzz(func(t *testing.T, method, host, path, query, name, value string, length int64) {
		r, err := http.NewRequest("GET", "http://example.org/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Method, r.Host, r.URL.Path, r.URL.RawQuery = method, host, path, query
		r.Header[name] = []string{value}
		length = max(length, -1)
		head, err := appendHead(nil, r, framing{length: length}, nil)
		if err != nil {
			if !errors.Is(err, roundtrip.ErrRequest) {
				t.Fatal(err)
			}
			return
		}
		br := bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("rest")))
		got, err := http.ReadRequest(br)
		if err != nil {
			if strings.Contains(err.Error(), "parse ") || strings.Contains(err.Error(), "malformed Host") {
				return // a URL that is odd, but one word
			}
			t.Fatalf("%q: %v", head, err)
		}
		delete(got.Header, "Content-Length")
		if len(got.Header) > 1 || got.ContentLength != length && !(length == 0 && got.ContentLength <= 0) {
			t.Fatalf("%q: %v, length %d", head, got.Header, got.ContentLength)
		}
		for _, values := range got.Header {
			if len(values) != 1 || values[0] != strings.Trim(value, " \t") {
				t.Fatalf("%q: %q", head, values)
			}
		}
		if rest, _ := io.ReadAll(br); string(rest) != "rest" {
			t.Fatalf("%q: %q is left", head, rest)
		}
	})
}
