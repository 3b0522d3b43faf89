package httpmsg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzParseRequest has what is taken be the request that package net/http takes
// it for, with nothing left, and be the same request when it is written again.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		benchRequest,
		"GET / HTTP/1.0\r\n\r\n",
		"GET http://example.org:80/a?b HTTP/1.1\r\nHost: EXAMPLE.org\r\nPragma: no-cache\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: [::1]:1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
		"PUT //a%2f(b)|c/../%2e?%zz HTTP/1.1\r\nHost: a.\r\ncontent-length:\t01 \r\nX: \xff\r\nx:\r\n\r\n1",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTrailer: Content-Length\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"POST / HTTP/1.9\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n b\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		was := bytes.Clone(msg)
		r, err := ParseRequest(msg, Limits{})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Status < 400 || len(err.Error()) > 300 {
				t.Fatalf("error %v", err)
			}
			return
		}
		if !bytes.Equal(msg, was) || !IsRequest(msg) {
			t.Fatal("changed, or not a request")
		}
		rd := bufio.NewReader(bytes.NewReader(was))
		want, err := http.ReadRequest(rd)
		if err != nil {
			t.Fatalf("net/http: %v", err)
		}
		wantBody, err := io.ReadAll(want.Body)
		if err != nil {
			t.Fatalf("net/http: reading the body: %v", err)
		}
		if rest, _ := io.ReadAll(rd); len(rest) > 0 {
			t.Fatalf("net/http: %q is left", rest)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, wantBody) || r.ContentLength != int64(len(body)) {
			t.Fatalf("body %q of %d bytes, %v; net/http: %q", body, r.ContentLength, err, wantBody)
		}
		if want.ContentLength < 0 {
			want.Header.Set("Content-Length", fmt.Sprint(len(body)))
		}
		if want.ProtoMinor > 1 {
			want.Proto, want.ProtoMinor = "HTTP/1.1", 1 // the highest that is known
		}
		want.Header.Del("Expect")
		if r.Header["Cache-Control"] == nil && r.Header["Pragma"] != nil {
			want.Header.Del("Cache-Control")
		}
		if r.Method != want.Method || r.Host != want.Host || r.Proto != want.Proto || r.ProtoMajor != want.ProtoMajor || r.ProtoMinor != want.ProtoMinor ||
			r.RequestURI != want.RequestURI || !reflect.DeepEqual(r.URL, want.URL) || !reflect.DeepEqual(r.Header, want.Header) || len(want.Trailer) > 0 {
			t.Fatalf("%#v\nnet/http: %#v", r, want)
		}

		var again bytes.Buffer
		fmt.Fprintf(&again, "%s %s %s\r\n", r.Method, r.RequestURI, r.Proto)
		if r.Host != "" {
			fmt.Fprintf(&again, "Host: %s\r\n", r.Host)
		}
		for name, values := range r.Header {
			for _, v := range values {
				fmt.Fprintf(&again, "%s: %s\r\n", name, v)
			}
		}
		again.WriteString("\r\n")
		again.Write(body)
		r2, err := ParseRequest(again.Bytes(), Limits{})
		if err != nil {
			t.Fatalf("%q, written again: %v", again.Bytes(), err)
		}
		body2, _ := io.ReadAll(r2.Body)
		if r.Method != r2.Method || r.Host != r2.Host || r.Proto != r2.Proto || !reflect.DeepEqual(r.URL, r2.URL) || !reflect.DeepEqual(r.Header, r2.Header) || !bytes.Equal(body, body2) {
			t.Fatalf("%#v\nwritten again: %#v", r, r2)
		}
		if r.Host != "" {
			if _, err := CleanHost(r.Host); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzCleanPath: whatever a request's target is, its clean path has a form that no
// server can take for another.
func FuzzCleanPath(f *testing.F) {
	for _, seed := range []string{
		"/", "/a//b/../c/.", "/%2e%2e/", "/a%2F..%2fb", `/\..\`, "/a/..;/b", "/%25%32%65", "/caf\xc3\xa9%2f|", "/(%28;%3b?a=/../", "/%00", "*", "http://a/%ff/../b", "//a", "/a#b", "/?caf\xc3\xa9%2f&a b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		query := u.RawQuery
		if err := CleanPath(u); err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Fatal(err)
			}
			return
		}
		path, match := u.EscapedPath(), MatchPath(u)
		var escaped strings.Builder // the query, with what is beyond ASCII escaped
		for _, c := range []byte(query) {
			if c > 0x7f {
				fmt.Fprintf(&escaped, "%%%02X", c)
			} else {
				escaped.WriteByte(c)
			}
		}
		if u.RawQuery != escaped.String() || strings.ContainsAny(query, " \x00\n\x7f") {
			t.Fatalf("the query %q is %q", query, u.RawQuery)
		}
		for i := range len(path) {
			if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?[\\]^`{|}", c) >= 0 {
				t.Fatalf("%q is %q", target, path)
			}
		}
		for _, p := range []string{path, match} {
			if p[0] != '/' || strings.Contains(p, "//") || strings.Contains(p+"/", "/../") || strings.Contains(p+"/", "/./") || strings.Contains(p, "/..;") || strings.Contains(p, "\x00") {
				t.Fatalf("%q is %q", target, p)
			}
		}
		// A server that decodes first, and takes backslashes for slashes.
		for _, p := range []string{u.Path, strings.ReplaceAll(u.Path, `\`, "/")} {
			if strings.Contains(p+"/", "/../") {
				t.Fatalf("%q is %q when decoded", target, p)
			}
		}
		if decoded, err := url.PathUnescape(path); err != nil || decoded != u.Path {
			t.Fatalf("%q: the escaped path is %q, the path %q", target, path, u.Path)
		}
		// Matched and forwarded alike: segment by segment the same.
		if strings.Count(match, "/") != strings.Count(path, "/") || !strings.Contains(path, "%2F") && strings.Count(u.Path, "/") != strings.Count(path, "/") {
			t.Fatalf("%q: forwarded as %q, matched as %q", target, path, match)
		}
		again := *u
		if err := CleanPath(&again); err != nil || again != *u {
			t.Fatalf("%q is %q, and then %q, %v", target, path, again.EscapedPath(), err)
		}
		forwarded, err := url.ParseRequestURI(u.RequestURI())
		if err != nil {
			t.Fatal(err)
		}
		if err := CleanPath(forwarded); err != nil || forwarded.EscapedPath() != path || MatchPath(forwarded) != match || forwarded.Path != u.Path {
			t.Fatalf("%q is %q, and in the next server %q, %v", target, path, forwarded.EscapedPath(), err)
		}
	})
}

// FuzzCleanHost: a clean host stays as it is, and package net/url takes it for the
// same.
func FuzzCleanHost(f *testing.F) {
	for _, seed := range []string{"example.org", "A.b.:80", "[::1]:2", "[::FFFF:1.2.3.4]", "1.2.3.4", "a@b", "", "[fe80::1%25a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		clean, err := CleanHost(host)
		if err != nil {
			return
		}
		if again, err := CleanHost(clean); err != nil || again != clean {
			t.Fatalf("%q is %q, and then %q, %v", host, clean, again, err)
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil || u.User != nil || u.Host != host || u.Path != "/" {
			t.Fatalf("%q: %v, %v", host, u, err)
		}
		if clean[0] != '[' && !strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), clean) {
			t.Fatalf("%q is %q, and %q to net/url", host, clean, u.Hostname())
		}
	})
}
