package httpclient

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// encoded returns a request as a message.
func encoded(r *http.Request) ([]byte, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	return encode(r, &requestBody{ReadCloser: r.Body}, 1<<20)
}

func TestEncode(t *testing.T) {
	r, err := http.NewRequest("POST", "https://example.org:8443/a%2Fb?c=d#e", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"A": {"b", "c"}, "User-Agent": {""},
		// What is of a connection, or of the message itself, isn't the caller's.
		"Connection": {"close"}, "Expect": {"100-continue"}, "te": {"trailers"}, "keep-alive": {"1"}, "proxy-connection": {"x"},
		"content-length": {"9"}, "transfer-encoding": {"chunked"}, "host": {"evil.example"},
	}
	r.Close = true
	got, err := encoded(r)
	want := "POST /a%2Fb?c=d HTTP/1.1\r\nHost: example.org:8443\r\nContent-Length: 4\r\nA: b\r\nA: c\r\n\r\nbody"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if r.Header.Get("Connection") == "" || !r.Close {
		t.Error("the caller's request was changed")
	}
}

// FuzzEncode checks that a message is the one request that the caller made.
func FuzzEncode(f *testing.F) {
	f.Add("GET", "example.org", "/a?b", "Name", "value", []byte(nil))
	f.Add("POST", "example.org:80", "//a//b#c", "content-length", "7", []byte("body"))
	f.Add("PUT", "a b", "*", "Transfer-Encoding", "chunked", []byte("0\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
	f.Add("OPTIONS", "[::1]", "/\r\nA: b", "A", "b\r\nC: d", []byte("x"))
	f.Fuzz(func(t *testing.T, method, host, target, name, value string, body []byte) {
		r := &http.Request{Method: method, Host: host, Header: http.Header{name: {value}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1}
		var err error
		if r.URL, err = url.Parse(target); err != nil {
			return
		}
		r.URL.Scheme = "https"
		message, err := encoded(r)
		if err != nil {
			return
		}
		in := bufio.NewReader(bytes.NewReader(message))
		got, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%q: %v", message, err)
		}
		if method == "" {
			method = "GET"
		}
		content, err := io.ReadAll(got.Body)
		rest, _ := io.ReadAll(in)
		if err != nil || got.Method != method || !bytes.Equal(content, body) || len(rest) > 0 || got.Close || len(got.TransferEncoding) > 0 {
			t.Fatalf("%q is the request %+v with the body %q, and %q after it", message, got, content, rest)
		}
		for n := range got.Header {
			if n != http.CanonicalHeaderKey(name) && n != "User-Agent" && n != "Content-Length" {
				t.Fatalf("%q has the field %q", message, n)
			}
		}
	})
}
