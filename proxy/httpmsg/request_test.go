package httpmsg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const host = "Host: example.org\r\n"

// parse has the request from a message of its own, since a body may change it.
func parse(msg string) (*http.Request, error) { return ParseRequest([]byte(msg), Limits{}) }

func bodyOf(t *testing.T, r *http.Request) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseRequest(t *testing.T) {
	for _, test := range []struct {
		name, msg                 string
		method, uri, host, header string
		body                      string
	}{
		{"the least", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", "map[]", ""},
		{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", "map[]", ""},
		{"HTTP/1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "POST", "/", "", "map[Content-Length:[2]]", "hi"},
		{"a later HTTP/1", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET", "/", "a", "map[]", ""},
		{"a query", "GET /a/b?c=%zz&d=\" HTTP/1.1\r\n" + host + "\r\n", "GET", `/a/b?c=%zz&d="`, "example.org", "map[]", ""},
		{"an empty query", "GET /? HTTP/1.1\r\n" + host + "\r\n", "GET", "/?", "example.org", "map[]", ""},
		{"escapes stay", "GET /a%2fb/%e4 HTTP/1.1\r\n" + host + "\r\n", "GET", "/a%2fb/%e4", "example.org", "map[]", ""},
		{"two slashes", "GET //evil.example/a HTTP/1.1\r\n" + host + "\r\n", "GET", "//evil.example/a", "example.org", "map[]", ""},
		{"a colon", "GET /a:b HTTP/1.1\r\n" + host + "\r\n", "GET", "/a:b", "example.org", "map[]", ""},
		{"a method of its own", "GET-IT! / HTTP/1.1\r\n" + host + "\r\n", "GET-IT!", "/", "example.org", "map[]", ""},
		{"canonical names", "GET / HTTP/1.1\r\nhOST: a\r\nx-a_b:1\r\nX-A_B:\t2 \t\r\nx-c:\r\n\r\n", "GET", "/", "a", "map[X-A_b:[1 2] X-C:[]]", ""},
		{"tab and bytes over ASCII in a value", "GET / HTTP/1.1\r\n" + host + "A: b\tc\xff\r\n\r\n", "GET", "/", "example.org", "map[A:[b\tc\xff]]", ""},
		{"a colon in a value", "GET / HTTP/1.1\r\n" + host + "A: b: c\r\n\r\n", "GET", "/", "example.org", "map[A:[b: c]]", ""},
		{"a GET with a body", "GET / HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", "GET", "/", "example.org", "map[Content-Length:[3]]", "abc"},
		{"an empty body", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n", "POST", "/", "example.org", "map[Content-Length:[0]]", ""},
		{"zeros before a length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0002\r\n\r\nab", "POST", "/", "example.org", "map[Content-Length:[0002]]", "ab"},
		{"a body like a request", "POST / HTTP/1.1\r\n" + host + "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n", "POST", "/", "example.org", "map[Content-Length:[18]]", "GET / HTTP/1.1\r\n\r\n"},
		{"an expectation", "POST / HTTP/1.1\r\n" + host + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na", "POST", "/", "example.org", "map[Content-Length:[1]]", "a"},
		{"chunks", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", "POST", "/", "example.org", "map[Content-Length:[13]]", "abc0123456789"},
		{"Chunked, as iOS writes it", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n000\r\n\r\n", "POST", "/", "example.org", "map[Content-Length:[1]]", "a"},
		{"no chunks", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST", "/", "example.org", "map[Content-Length:[0]]", ""},
		{"a whole URL", "GET http://Example.org:80/a?b HTTP/1.1\r\nHost: example.org\r\n\r\n", "GET", "http://Example.org:80/a?b", "Example.org:80", "map[]", ""},
		{"a whole URL without a path", "GET HTTPS://[::1]:444?b HTTP/1.1\r\nHost: [::1]:444\r\n\r\n", "GET", "HTTPS://[::1]:444?b", "[::1]:444", "map[]", ""},
		{"a whole URL that is only a host", "GET http://AZ.example HTTP/1.1\r\nHost: az.EXAMPLE\r\n\r\n", "GET", "http://AZ.example", "AZ.example", "map[]", ""},
		{"a whole URL in HTTP/1.0", "GET http://a/ HTTP/1.0\r\n\r\n", "GET", "http://a/", "a", "map[]", ""},
		{"an address", "GET / HTTP/1.1\r\nHost: [2001:db8::A]:8080\r\n\r\n", "GET", "/", "[2001:db8::A]:8080", "map[]", ""},
		{"a dot at the host's end", "GET / HTTP/1.1\r\nHost: my_host.example.\r\n\r\n", "GET", "/", "my_host.example.", "map[]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := parse(test.msg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Method != test.method || r.RequestURI != test.uri || r.Host != test.host || fmt.Sprint(r.Header) != test.header {
				t.Errorf("%s %s, host %s, %q", r.Method, r.RequestURI, r.Host, r.Header)
			}
			if r.ContentLength != int64(len(test.body)) || r.TransferEncoding != nil {
				t.Errorf("length %d, %q", r.ContentLength, r.TransferEncoding)
			}
			if (r.Body == http.NoBody) != (test.body == "") {
				t.Errorf("the body is a %T", r.Body)
			}
			for range 2 { // and once more, from GetBody
				if got := bodyOf(t, r); got != test.body {
					t.Errorf("body %q", got)
				}
				if r.Body, err = r.GetBody(); err != nil {
					t.Fatal(err)
				}
			}
			want := strings.Fields(test.msg)[2]
			if want == "HTTP/1.2" {
				want = "HTTP/1.1" // the highest that is known
			}
			if r.Proto != want || !r.ProtoAtLeast(1, int(want[7]-'0')) || r.ProtoAtLeast(1, int(want[7]-'0')+1) {
				t.Errorf("version %q, %d.%d", r.Proto, r.ProtoMajor, r.ProtoMinor)
			}
		})
	}
}

// TestRefused has the faults that hide a request in a request, or show one
// server another request than the next.
func TestRefused(t *testing.T) {
	get := func(fields string) string { return "GET / HTTP/1.1\r\n" + host + fields + "\r\n" }
	post := func(fields, body string) string { return "POST / HTTP/1.1\r\n" + host + fields + "\r\n" + body }
	target := func(s string) string { return "GET " + s + " HTTP/1.1\r\n" + host + "\r\n" }
	hosted := func(s string) string { return "GET / HTTP/1.1\r\nHost: " + s + "\r\n\r\n" }
	chunked := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	for _, test := range []struct {
		name, msg, want string
	}{
		// The request line.
		{"nothing", "", "the head doesn't end"},
		{"an empty line first", "\r\n" + get(""), "line 1: empty"},
		{"HTTP/0.9", "GET /\r\n\r\n", "line 1: the version is missing"},
		{"one word", "GET\r\n\r\n", "line 1: no request line"},
		{"no method", " / HTTP/1.1\r\n" + host + "\r\n", "line 1: a method of 0 bytes"},
		{"a long method", strings.Repeat("A", 33) + " / HTTP/1.1\r\n" + host + "\r\n", "line 1: a method of 33 bytes"},
		{"a method with a colon", "GET: / HTTP/1.1\r\n" + host + "\r\n", "line 1: the byte 0x3a in the method"},
		{"a tab after the method", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", "line 1: the byte 0x09 in the method"},
		{"CONNECT", "CONNECT example.org:443 HTTP/1.1\r\n" + host + "\r\n", "line 1: the method CONNECT"},
		{"a lower-case method", "get / HTTP/1.1\r\n" + host + "\r\n", `line 1: the method "get" has lower-case letters`},
		{"the first lower-case letter", "GETa / HTTP/1.1\r\n" + host + "\r\n", `line 1: the method "GETa" has`},
		{"the last lower-case letter", "GETz / HTTP/1.1\r\n" + host + "\r\n", `line 1: the method "GETz" has`},
		{"a method in both", "Get / HTTP/1.1\r\n" + host + "\r\n", `line 1: the method "Get" has lower-case letters`},
		{"a lower-case version", "GET / http/1.1\r\n" + host + "\r\n", `line 1: the version is "http/1.1"`},
		{"HTTP/1.10", "GET / HTTP/1.10\r\n" + host + "\r\n", `line 1: the version is "HTTP/1.10"`},
		{"HTTP/1.x", "GET / HTTP/1.x\r\n" + host + "\r\n", `line 1: the version is "HTTP/1.x"`},
		{"HTTP/1.2 without a host", "GET / HTTP/1.2\r\n\r\n", "the Host field is missing"},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", `line 1: the version is "HTTP/2.0"`},
		{"HTTP/01.1", "GET / HTTP/01.1\r\n" + host + "\r\n", `line 1: the version is "HTTP/01.1"`},
		{"a space after the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", `line 1: the version is ""`},
		{"a tab after the version", "GET / HTTP/1.1\t\r\n" + host + "\r\n", `line 1: the version is "HTTP/1.1\t"`},

		// The target.
		{"no target", "GET  HTTP/1.1\r\n" + host + "\r\n", "line 1: the target is missing"},
		{"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", "line 1: a space in the target"},
		{"a space", target("/a b"), "line 1: a space in the target"},
		{"a version as a path", target("/ HTTP/1.1"), "line 1: a space in the target"},
		{"a fragment", target("/a#b"), "line 1: a fragment"},
		{"the first byte beyond ASCII", target("/\x80"), "line 1: the byte 0x80 in the target"},
		{"UTF-8", target("/caf\xc3\xa9"), "line 1: the byte 0xc3 in the target: write %C3"},
		{"NUL", target("/\x00"), "line 1: the byte 0x00 in the target"},
		{"DEL", target("/\x7f"), "line 1: the byte 0x7f in the target"},
		{"a tab", target("/\t"), "line 1: the byte 0x09 in the target"},
		{"a broken escape", target("/%4"), `line 1: a broken escape in the target, "%4"`},
		{"a wrong escape", target("/%zz/a"), `line 1: a broken escape in the target, "%zz"`},
		{"a relative path", target("a/b"), `line 1: the target is "a/b"`},
		{"a host and port", target("example.org:80"), `line 1: the target is "example.org:80"`},
		{"an asterisk", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "line 1: the target *"},
		{"another scheme", target("ftp://example.org/"), `line 1: the target is "ftp://example.org/"`},
		{"a file", target("file:///etc/passwd"), `line 1: the target is "file:///etc/passwd"`},
		{"no authority", target("http:/a"), `line 1: the target is "http:/a"`},
		{"an empty authority", target("http:///a"), "line 1: the host is empty"},
		{"a user", target("http://me:pw@example.org/"), "line 1: a user name in the host"},
		{"a user without a password", target("http://me@example.org/"), "line 1: a user name in the host"},
		{"an escape in the host", target("http://example%2eorg/"), "line 1: the byte 0x25 in the host"},
		{"another host", target("http://example.com/"), `the target's host is "example.com", and the Host field is "example.org"`},
		{"another port", target("http://example.org:81/"), `the target's host is "example.org:81"`},
		{"another scheme's port", target("https://example.org:80/"), `the target's host is "example.org:80"`},

		// Line ends.
		{"LF", "GET / HTTP/1.1\nHost: a\n\n", "line 1: a line feed without a carriage return"},
		{"LF in the fields", "GET / HTTP/1.1\r\n" + host + "A: b\n\r\n", "line 3: a line feed"},
		{"LF as the empty line", "GET / HTTP/1.1\r\n" + host + "\n", "line 3: a line feed"},
		{"CR", "GET / HTTP/1.1\rHost: a\r\r\n\r\n", "line 1: a carriage return without a line feed"},
		{"CR in a value", get("A: b\rC: d\r\n"), "line 3: a carriage return"},
		{"CR CR LF", get("A: b\r\r\n"), "line 3: a carriage return"},
		{"LF CR", "GET / HTTP/1.1\n\r\n\r", "line 1: a line feed"},
		{"no empty line", "GET / HTTP/1.1\r\n" + host, "the head doesn't end"},
		{"half an empty line", "GET / HTTP/1.1\r\n" + host + "\r", "the head doesn't end"},
		{"a line without its end", "GET / HTTP/1.1\r\n" + host + "A: b", "the head doesn't end"},

		// Fields.
		{"a folded line", get("A: b\r\n c\r\n"), "line 4: it begins with a space"},
		{"a line folded with a tab", get("A: b\r\n\tc: d\r\n"), "line 4: it begins with a space"},
		{"a folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "line 2: it begins with a space"},
		{"a line of spaces", get(" \r\n"), "line 3: it begins with a space"},
		{"a space before the colon", get("Content-Length : 0\r\n"), `line 3: a space before the colon of "Content-Length"`},
		{"a tab before the colon", get("Transfer-Encoding\t: chunked\r\n"), "line 3: a space before the colon"},
		{"a name with a space", get("Content Length: 0\r\n"), "line 3: a header name with a space"},
		{"no name", get(": b\r\n"), "line 3: a field without a name"},
		{"no colon", get("Content-Length\r\n"), "line 3: a field without a colon"},
		{"NUL in a name", get("A\x00: b\r\n"), "line 3: a header name with the byte 0x00"},
		{"UTF-8 in a name", get("\xc3\xa9: b\r\n"), "line 3: a header name with the byte 0xc3"},
		{"a bracket in a name", get("A[: b\r\n"), "line 3: a header name with the byte 0x5b"},
		{"NUL in a value", get("Cookie: secret\x00\r\n"), `line 3: the control byte 0x00 in "Cookie"`},
		{"vertical tab in a value", get("Transfer-Encoding: \x0bchunked\r\n"), `line 3: the control byte 0x0b in "Transfer-Encoding"`},
		{"ESC in a value", get("A: \x1b[0m\r\n"), "line 3: the control byte 0x1b"},
		{"DEL in a value", get("A: \x7f\r\n"), "line 3: the control byte 0x7f"},
		{"another expectation", post("Expect: 200-ok\r\nContent-Length: 0\r\n", ""), `line 3: Expect is "200-ok"`},

		// Hosts.
		{"no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", "the Host field is missing"},
		{"no host beside a whole URL", "GET http://a/ HTTP/1.1\r\n\r\n", "the Host field is missing"},
		{"an empty host", hosted(""), "line 2: the host is empty"},
		{"two hosts", get("Host: example.org\r\n"), "line 3: a second Host"},
		{"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHOST: b\r\n\r\n", "line 3: a second Host"},
		{"a list of hosts", hosted("a, b"), "line 2: the byte 0x2c in the host"},
		{"a user in the host", hosted("me@example.org"), "line 2: a user name in the host"},
		{"a path in the host", hosted("example.org/a"), "line 2: the byte 0x2f in the host"},
		{"a space in the host", hosted("example.org a"), "line 2: the byte 0x20 in the host"},
		{"a named port", hosted("example.org:http"), `line 2: the host is "example.org:http": a port is a number`},
		{"an empty port", hosted("example.org:"), "line 2: the host is"},
		{"a signed port", hosted("example.org:+80"), "line 2: the host is"},
		{"a large port", hosted("example.org:65536"), "line 2: the host is"},
		{"two ports", hosted("example.org:80:80"), "line 2: the host is"},
		{"an address without brackets", hosted("::1"), "line 2: the host is"},
		{"half a bracket", hosted("[::1"), "line 2: the host is"},
		{"IPv4 in brackets", hosted("[127.0.0.1]"), "line 2: the host is"},
		{"a zone", hosted("[fe80::1%25eth0]"), "line 2: the host is"},
		{"something after the bracket", hosted("[::1]a"), "line 2: the host is"},
		{"a port without a colon", hosted("[::1]x80"), "line 2: the host is"},
		{"two dots", hosted("a..b"), "line 2: the host is"},
		{"a dot alone", hosted("."), "line 2: the host is"},
		{"quotes", hosted(`"a"`), "line 2: the byte 0x22 in the host"},

		// Framing.
		{"bytes after a request without a body", get("") + "x", "1 bytes follow the head"},
		{"a second request", get("") + get(""), "bytes follow the head"},
		{"CRLF after the request", get("") + "\r\n", "2 bytes follow the head"},
		{"a body too short", post("Content-Length: 3\r\n", "ab"), "the body has 2 bytes, and Content-Length is 3"},
		{"a body too long", post("Content-Length: 1\r\n", "ab"), "1 bytes follow the body: Content-Length is 1"},
		{"two lengths", post("Content-Length: 2\r\nContent-Length: 1\r\n", "ab"), "line 4: a second Content-Length"},
		{"two equal lengths", post("Content-Length: 2\r\ncontent-length: 2\r\n", "ab"), "line 4: a second Content-Length"},
		{"a list of lengths", post("Content-Length: 2, 2\r\n", "ab"), `line 3: Content-Length is "2, 2"`},
		{"a signed length", post("Content-Length: +2\r\n", "ab"), "line 3: Content-Length"},
		{"a negative length", post("Content-Length: -0\r\n", ""), "line 3: Content-Length"},
		{"a hexadecimal length", post("Content-Length: 0x2\r\n", "ab"), "line 3: Content-Length"},
		{"a length with an underscore", post("Content-Length: 1_0\r\n", "0123456789"), "line 3: Content-Length"},
		{"an empty length", post("Content-Length:\r\n", ""), "line 3: Content-Length"},
		{"a length in full-width digits", post("Content-Length: \xef\xbc\x92\r\n", "ab"), "line 3: Content-Length"},
		{"a length over 63 bits", post("Content-Length: 9223372036854775808\r\n", "ab"), "which is too much"},
		{"a length over 64 bits", post("Content-Length: 18446744073709551618\r\n", "ab"), "which is too much"},
		{"a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "line 4: Content-Length and Transfer-Encoding"},
		{"chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "line 4: Content-Length and Transfer-Encoding"},
		{"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "line 2: Transfer-Encoding, which HTTP/1.0"},
		{"two encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "line 4: a second Transfer-Encoding"},
		{"a list of encodings", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), `line 3: Transfer-Encoding is "gzip, chunked"`},
		{"identity", post("Transfer-Encoding: identity\r\n", ""), "line 3: Transfer-Encoding"},
		{"xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "line 3: Transfer-Encoding"},
		{"a parameter", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), "line 3: Transfer-Encoding"},
		{"a comma", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), "line 3: Transfer-Encoding"},
		{"quotes around it", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "line 3: Transfer-Encoding"},
		{"a Kelvin sign", post("Transfer-Encoding: chun\u212aed\r\n", "0\r\n\r\n"), "line 3: Transfer-Encoding"},
		{"an empty encoding", post("Transfer-Encoding:\r\n", ""), "line 3: Transfer-Encoding"},

		// Chunks.
		{"no last chunk", chunked("1\r\na\r\n"), "chunk 2: the body breaks off"},
		{"no chunk at all", chunked(""), "chunk 1: the body breaks off"},
		{"no end", chunked("0\r\n"), "chunk 1: the body breaks off"},
		{"half an end", chunked("0\r\n\r"), "chunk 1: the body breaks off"},
		{"an extension", chunked("1;a=b\r\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"an extension of the last", chunked("0;a\r\n\r\n"), "chunk 1: its size"},
		{"a space after the size", chunked("1 \r\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"a size with 0x", chunked("0x1\r\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"a signed size", chunked("+1\r\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"no size", chunked("\r\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"a size of 17 digits", chunked("00000000000000001\r\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"a size over 63 bits", chunked("ffffffffffffffff\r\na\r\n0\r\n\r\n"), "chunk 1: the body breaks off"},
		{"a size that wraps", chunked("fffffffffffffffe\r\na\r\n0\r\n\r\n"), "chunk 1: the body breaks off"},
		{"LF after the size", chunked("1\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"CR after the size", chunked("1\ra\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"another byte and LF after the size", chunked("1x\na\r\n0\r\n\r\n"), "chunk 1: its size"},
		{"LF after the data", chunked("1\r\na\n0\r\n\r\n"), "chunk 1: CR LF is missing"},
		{"another byte and LF after the data", chunked("1\r\nax\n0\r\n\r\n"), "chunk 1: CR LF is missing"},
		{"CR and another byte after the data", chunked("1\r\na\rx0\r\n\r\n"), "chunk 1: CR LF is missing"},
		{"an end in the data", chunked("2\r\n\r\n"), "chunk 1: CR LF is missing"},
		{"more data than said", chunked("1\r\nab\r\n0\r\n\r\n"), "chunk 1: CR LF is missing"},
		{"a trailer", chunked("0\r\nContent-Length: 5\r\n\r\n"), "chunk 1: trailers"},
		{"an announced trailer", post("Trailer: A\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "Trailer: trailers"},
		{"bytes after the last chunk", chunked("0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "18 bytes follow the body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.msg)
			var e *Error
			if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), test.want) && (test.want[0] == 'l' || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			if e.Status < 400 || http.StatusText(e.Status) == "" {
				t.Errorf("status %d", e.Status)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	fields := func(n int) string { return strings.Repeat("A: b\r\n", n) }
	filled := func(n int) string { // a head of n bytes
		const line = "GET / HTTP/1.1\r\n" + host + "A: "
		return line + strings.Repeat("b", n-len(line)-4) + "\r\n\r\n"
	}
	for _, test := range []struct {
		name, msg string
		want      int
	}{
		{"as many fields as may be", "GET / HTTP/1.1\r\n" + host + fields(MaxFields-1) + "\r\n", 200},
		{"a field more", "GET / HTTP/1.1\r\n" + host + fields(MaxFields) + "\r\n", 431},
		{"a head of 64 KiB", filled(MaxHead), 200},
		{"a head of a byte more", filled(MaxHead + 1), 431},
		{"a line without end", "GET /" + strings.Repeat("a", MaxHead), 414},
		{"a path of MaxHead", "GET /" + strings.Repeat("a", MaxHead) + " HTTP/1.1\r\n" + host + "\r\n", 414},
		{"the greeting of TLS", "\x16\x03\x01\x00\xa5", 400},
		{"a body of more than a head", "POST / HTTP/1.1\r\n" + host + "Content-Length: 100000\r\n\r\n" + strings.Repeat("b", 100000), 200},
		{"a version", "GET / HTTP/3.0\r\n\r\n", 505},
		{"no version", "GET / FTP/1.0\r\n\r\n", 400},
		{"an encoding", "GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 501},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\n" + host + "\r\n", 501},
		{"an expectation", "GET / HTTP/1.1\r\n" + host + "Expect: more\r\n\r\n", 417},
		{"else", "GET / HTTP/1.1\r\n\r\n", 400},
	} {
		status := 200
		_, err := parse(test.msg)
		if e := (*Error)(nil); errors.As(err, &e) {
			status = e.Status
		}
		if status != test.want {
			t.Errorf("%s: %d (%v), want %d", test.name, status, err, test.want)
		}
	}
}

// TestPrefixes has every strict prefix of a request refused, and every longer
// message.
func TestPrefixes(t *testing.T) {
	for _, msg := range []string{
		"POST /a?b HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nabcde",
		"POST /a?b HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n2\r\nfg\r\n0\r\n\r\n",
		"GET http://example.org/ HTTP/1.1\r\n" + host + "\r\n",
	} {
		if _, err := parse(msg); err != nil {
			t.Fatal(err)
		}
		for n := range len(msg) {
			if _, err := parse(msg[:n]); err == nil {
				t.Errorf("%q is taken", msg[:n])
			}
		}
		for c := range 256 {
			if _, err := parse(msg + string([]byte{byte(c)})); err == nil {
				t.Errorf("%q is taken with 0x%02x after it", msg, c)
			}
		}
	}
}

// TestErrorsAreShort has no error show more than a little of a request, or a
// secret.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("\x01", 60000)
	for _, msg := range []string{
		long, "GET " + long + " HTTP/1.1\r\n\r\n", "GET / " + strings.Repeat("x", 60000) + "\r\n\r\n",
		"GET " + strings.Repeat("x", 60000) + " HTTP/1.1\r\n\r\n", "GET /%" + strings.Repeat("x", 60000) + " HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" + strings.Repeat("x", 60000) + "\r\n\r\n", "GET / HTTP/1.1\r\n" + strings.Repeat("x", 60000) + " : \r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 60000) + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: [" + strings.Repeat("\xff", 60000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nExpect: " + strings.Repeat("\xff", 60000) + "\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: " + strings.Repeat("9", 60000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: " + strings.Repeat("\xff", 60000) + "\r\n\r\n",
	} {
		_, err := parse(msg)
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("%.40q: %v", msg, err)
		}
	}
	for _, msg := range []string{
		"GET / HTTP/1.1\r\n" + host + "Authorization: secret\x01\r\n\r\n", "GET / HTTP/1.1\r\n" + host + "Authorization\r\nsecret\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: me:secret@a\r\n\r\n", "GET http://me:secret@a/ HTTP/1.1\r\n" + host + "\r\n",
	} {
		if _, err := parse(msg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", msg, err)
		}
	}
}

func TestIsRequest(t *testing.T) {
	for msg, want := range map[string]bool{
		"GET / HTTP/1.1\r\n\r\n":          true,
		"GET / HTTP/1.9\n":                true,
		"GET / HTTP/1.1":                  true,
		"G!T a b HTTP/1.":                 true,
		"POST /a b HTTP/1.1 \r\n":         true,
		"GET / HTTP/2.0\r\n":              false,
		"GET / http/1.1\r\n":              false,
		"GET /\r\nX: a HTTP/1.1\r\n\r\n":  false,
		"GET HTTP/1.1\r\n":                true,
		" / HTTP/1.1\r\n":                 false,
		"\r\nGET / HTTP/1.1\r\n":          false,
		"":                                false,
		"GET":                             false,
		"GET ":                            false,
		"GET\t/ HTTP/1.1\r\n":             false,
		"{\"a\": \"b HTTP/1.1\"}":         false,
		"\x00GET / HTTP/1.1\r\n":          false,
		"hello world, this is HTTP/1.1 !": true,
	} {
		if got := IsRequest([]byte(msg)); got != want {
			t.Errorf("%q: %t", msg, got)
		}
	}
}

// TestBodyIsTheMessage: a body is read from the message itself, and the message
// stays as it came until its body is read.
func TestBodyIsTheMessage(t *testing.T) {
	head := "POST / HTTP/1.1\r\n" + host
	msg := []byte(head + "Content-Length: 4\r\n\r\nbody")
	r, err := ParseRequest(msg, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if b := r.Body.(*Body); &b.Bytes()[0] != &msg[len(msg)-4] || b.Len() != 4 {
		t.Error("the body is a copy")
	}

	msg = []byte(head + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n3\r\nand\r\n4\r\nmore\r\n0\r\n\r\n")
	was := bytes.Clone(msg)
	if r, err = ParseRequest(msg, Limits{}); err != nil {
		t.Fatal(err)
	}
	b := r.Body.(*Body)
	if again, err := r.GetBody(); err != nil || again.(*Body).Len() != 11 || b.Len() != 11 || !bytes.Equal(msg, was) {
		t.Errorf("before it is read: %d bytes, %q, %v", b.Len(), msg, err)
	}
	if n, err := io.ReadFull(b, make([]byte, 3)); n != 3 || err != nil || b.Len() != 8 {
		t.Errorf("%d, %v, and %d left", n, err, b.Len())
	}
	at := bytes.Index(msg, []byte("\r\n\r\n")) + 4
	if got := b.Bytes(); string(got) != "bodyandmore" || &got[0] != &msg[at] {
		t.Errorf("decoded: %q", got)
	}
	if again, _ := r.GetBody(); true {
		if n, err := again.(*Body).WriteTo(brokenWriter{}); n != 2 || err != io.ErrClosedPipe {
			t.Errorf("to a writer that fails: %d, %v", n, err)
		}
	}
	var rest bytes.Buffer
	if n, err := b.WriteTo(&rest); n != 8 || err != nil || rest.String() != "yandmore" {
		t.Errorf("%d, %v: %q", n, err, rest.String())
	}
	if n, err := b.WriteTo(&rest); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// brokenWriter takes 2 bytes of all that is written to it.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 2, io.ErrClosedPipe }

// TestBodyAllowed has the statuses whose responses end with the head.
func TestBodyAllowed(t *testing.T) {
	for status, want := range map[int]bool{100: false, 199: false, 200: true, 204: false, 205: true, 304: false, 404: true} {
		if BodyAllowed(status) != want {
			t.Errorf("%d: %t", status, !want)
		}
	}
}

// TestCheckStream has what the servers of HTTP/2 and HTTP/3 let pass.
func TestCheckStream(t *testing.T) {
	for _, c := range []struct {
		method, uri string
		lengths     []string
		ok          bool
	}{
		{"GET", "/", nil, true},
		{"POST", "/", []string{"5"}, true},
		{"CONNECT", "a.test:443", nil, true}, // refused elsewhere, as not implemented
		{"OPTIONS", "*", nil, true},
		{"GET", "a.test", nil, false},
		{"GET", "/#", nil, false},
		{"GET", "/a b", nil, false},
		{"GET", "/a?b c", nil, false},
		{"GET", "/\xe4", nil, false},
		{"GET", "/?\xe4", nil, false},
		{"GET", "/%E4?%20", nil, true},
		{"get", "/", nil, false},
		{"POST", "/", []string{"4"}, false},
		{"POST", "/", []string{"5", "5"}, false},
		{"POST", "/", []string{"+5"}, false},
		{"POST", "/", []string{""}, false},
		{"POST", "/", []string{"18446744073709551621"}, false},
	} {
		r := &http.Request{Method: c.method, RequestURI: c.uri, ContentLength: 5, Header: http.Header{"X-User": {" root\t", "a b"}}}
		if c.lengths != nil {
			r.Header["Content-Length"] = c.lengths
		}
		err := CheckStream(r)
		if e := (*Error)(nil); (err == nil) != c.ok || err != nil && !errors.As(err, &e) {
			t.Errorf("%s %s, lengths %q: %v", c.method, c.uri, c.lengths, err)
		}
		if v := r.Header["X-User"]; v[0] != "root" || v[1] != "a b" {
			t.Errorf("spaces around a value: %q", v)
		}
	}
	for value, status := range map[string]int{"100-continue": 0, "100-Continue": 0, "more": 417, "": 417} {
		err := CheckStream(&http.Request{Method: "GET", RequestURI: "/", Header: http.Header{"Expect": {value}}})
		if e := (*Error)(nil); (err == nil) != (status == 0) || errors.As(err, &e) && e.Status != status {
			t.Errorf("Expect %q: %v", value, err)
		}
	}
}

// TestAllocations bounds what a request costs whose Parser is used again.
func TestAllocations(t *testing.T) {
	msg := []byte(benchRequest)
	var p Parser
	r := new(http.Request)
	n := testing.AllocsPerRun(100, func() {
		Blank(r)
		if err := p.ParseMessage(msg, Limits{}, r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 4 {
		t.Errorf("%v allocations", n)
	}
}

// TestWrittenAgain has what http.Request.Write makes of a request be the same
// request.
func TestWrittenAgain(t *testing.T) {
	r, err := parse("POST /a%2Fb?c HTTP/1.1\r\n" + host + "Cookie: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.Header.Set("User-Agent", "test")
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	again, err := ParseRequest(out.Bytes(), Limits{})
	if err != nil {
		t.Fatalf("%v: %q", err, out.Bytes())
	}
	if again.Method != r.Method || again.RequestURI != r.RequestURI || again.Host != r.Host || !reflect.DeepEqual(again.Header, r.Header) || bodyOf(t, again) != "abc" {
		t.Errorf("%q", out.Bytes())
	}
}
