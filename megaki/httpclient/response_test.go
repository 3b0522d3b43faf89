package httpclient

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestParseResponse(t *testing.T) {
	for _, test := range []struct{ method, msg, body string }{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"},
		{"GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", ""},
		{"GET", "HTTP/1.1 200 OK\r\n\r\n", ""},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", "hi!"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", ""},
		{"HEAD", "HTTP/1.1 200 OK\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""},
	} {
		response, err := ParseResponse([]byte(test.msg), &http.Request{Method: test.method})
		if err != nil {
			t.Errorf("%q: %v", test.msg, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != test.body || response.TransferEncoding != nil {
			t.Errorf("%q: %q, %v", test.msg, body, err)
		}
		if test.method == "GET" && response.ContentLength != int64(len(body)) {
			t.Errorf("%q: ContentLength %d", test.msg, response.ContentLength)
		}
	}
	for _, test := range []struct{ method, msg, want string }{
		{"GET", "", "it is empty"},
		{"GET", "hello", `it begins with "hello"`},
		{"GET", "HTTP/2 200\r\n\r\n", "it begins with"},
		{"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "it begins with"},
		{"GET", "HTTP/1.1 abc OK\r\n\r\n", "malformed HTTP status"},
		{"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "its status is 100 Continue"},
		{"GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "its status is 101"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "its head doesn't end"},
		{"GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "line 1 ends in LF alone"},
		{"GET", "HTTP/1.1 200 \x1b[2J\r\n\r\n", "line 1 has the control character 0x1b"},
		{"GET", "HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n", "line 2 has the control character 0x00"},
		{"GET", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "line 3 begins with a space"},
		{"GET", "HTTP/1.1 200 OK\r\nA b\r\n\r\n", "malformed"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "its body is cut off: 2 bytes came"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi", "1 bytes follow it"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "line 3 is a second"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "line 3 is a second"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", "bad Content-Length"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", "unsupported transfer encoding"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "its body is cut off"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nx", "1 bytes follow it"},
		{"GET", "HTTP/1.1 200 OK\r\n\r\nhi", "neither Content-Length nor chunks"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "2 bytes follow it"},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\nhi", "2 bytes follow it"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "19 bytes follow it"},
	} {
		_, err := ParseResponse([]byte(test.msg), &http.Request{Method: test.method})
		if wrong := new(ResponseError); !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.msg, err, test.want)
		}
	}
	whole := "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nabcde"
	for n := range len(whole) {
		if _, err := ParseResponse([]byte(whole[:n]), nil); err == nil {
			t.Errorf("%q is taken", whole[:n])
		}
	}
}

// FuzzParseResponse checks that a response is all of its message: nothing can be
// cut off or added, which the protocol doesn't authenticate. Its head has
// nothing that a terminal would obey.
func FuzzParseResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 204 \r\n\r\n", "HTTP/1.1 404 a\tb\r\nLocation: /\r\n\r\n", "HTTP/1.1 200\r\n\r\nx",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, isHead bool) {
		r := &http.Request{Method: "GET"}
		if isHead {
			r.Method = "HEAD"
		}
		response, err := ParseResponse(msg, r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		end := bytes.Index(msg, []byte("\r\n\r\n")) + 4
		if head := msg[:end]; bytes.ContainsAny(head, "\x00\x1b\x7f") || response.StatusCode < 200 {
			t.Fatalf("head %q of %q", head, msg)
		}
		if isHead && end != len(msg) {
			t.Fatalf("body after %q", msg)
		}
		if !bytes.Contains(bytes.ToLower(msg[:end]), []byte("transfer-encoding")) && !bytes.Equal(msg[end:], body) {
			t.Fatalf("body %q of %q", body, msg)
		}
		if !isHead && response.ContentLength != int64(len(body)) {
			t.Fatalf("ContentLength %d of %q", response.ContentLength, body)
		}
		for n := 1; n < 16 && n < len(msg); n++ {
			if _, err := ParseResponse(msg[:len(msg)-n], r); err == nil {
				t.Fatalf("%q is taken without its last %d bytes", msg, n)
			}
		}
		if _, err := ParseResponse(append(msg, 'x'), r); err == nil {
			t.Fatalf("a byte after %q is taken", msg)
		}
	})
}

// TestHTTPVectors reads the responses that all clients read or refuse alike.
func TestHTTPVectors(t *testing.T) {
	data, err := os.ReadFile("../../vectors/http.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Tests []struct {
			Name, Method, Message, Expect, Body string // the message and the body in hex
			Status                              int
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Tests) < 40 {
		t.Errorf("only %d tests", len(vectors.Tests))
	}
	for _, v := range vectors.Tests {
		message, err := hex.DecodeString(v.Message)
		if err != nil {
			t.Fatal(err)
		}
		response, err := ParseResponse(message, &http.Request{Method: v.Method})
		if v.Expect != "ok" {
			if err == nil {
				t.Errorf("%s: it is taken", v.Name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if body, err := io.ReadAll(response.Body); err != nil || hex.EncodeToString(body) != v.Body || response.StatusCode != v.Status {
			t.Errorf("%s: %d %q, %v", v.Name, response.StatusCode, body, err)
		}
	}
}
