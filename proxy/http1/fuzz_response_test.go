package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// FuzzResponse runs a script as the handler, and reads the bytes that come
// with http.ReadResponse: the status, the fields, the body and the trailers must
// be those that the handler wrote, and behind the response comes nothing but the
// next one. A response that is shorter than its length must not look complete.
func FuzzResponse(f *testing.F) {
	for _, script := range []string{
		"", "w5", "w5w5", "w5fw5", "fw5", "c5w5", "c5w3w3", "c5w3", "c5f", "w200w200w200w200w200w200", "s1w5", "s2w5", "s2", "s3c7", "s4w5",
		"e1w5", "e1s1", "tw5", "tw5f", "ts2", "pw5", "w5p", "w5fp", "hw5", "w5r", "w5rs4w2", "fr", "c0", "c0w1", "w0", "i5", "c5i5", "c5i9", "c255i255i255", "kw5", "kc5w5", "uw1", "us5",
	} {
		for how := range uint8(8) {
			f.Add([]byte(script), how)
		}
	}
	f.Fuzz(func(t *testing.T, script []byte, how uint8) {
		method, version := "GET", "1.1"
		if how&1 != 0 {
			method = "HEAD"
		}
		if how&2 != 0 {
			version = "1.0\r\nConnection: keep-alive"
		}
		var did deeds
		handler := handlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/next" {
				io.WriteString(w, "next")
				return
			}
			did.do(w.(*Response), script)
		})
		c := &oneWay{Reader: strings.NewReader(method + " / HTTP/" + version + "\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")}
		server := Server{NewHandler: func(net.Conn) Handler { return handler }}
		if how&4 != 0 {
			server.ServeConn(kernel{c})
		} else {
			server.ServeConn(c)
		}

		wrote := c.wrote.Bytes()
		br := bufio.NewReader(bytes.NewReader(wrote))
		resp, informed := readFinal(t, br, method, wrote)
		if informed != did.informed && version == "1.1" || informed > 0 && version != "1.1" {
			t.Fatalf("%d informational responses, %d were written: %q", informed, did.informed, wrote)
		}
		if resp.StatusCode != did.status {
			t.Fatalf("the status is %d, %d was written: %q", resp.StatusCode, did.status, wrote)
		}
		if got := resp.Header.Values("X-Set"); !slices.Equal(got, did.fields) {
			t.Fatalf("the fields are %q, %q were written: %q", got, did.fields, wrote)
		}
		body, err := io.ReadAll(resp.Body)
		short := did.length > len(did.body) && method == "GET" && did.status != 204 && did.status != 304
		if (err != nil) != short {
			t.Fatalf("reading the body: %v; it is short: %v: %q", err, short, wrote)
		}
		if method == "HEAD" || did.status == 204 || did.status == 304 {
			did.body = ""
		}
		if string(body) != did.body {
			t.Fatalf("the body is %q, %q was written: %q", body, did.body, wrote)
		}
		if len(resp.TransferEncoding) > 0 && !maps.EqualFunc(resp.Trailer, did.trailer, slices.Equal) {
			t.Fatalf("the trailers are %q, %q were written: %q", resp.Trailer, did.trailer, wrote)
		}
		if short || resp.Close {
			if rest, _ := io.ReadAll(br); len(rest) > 0 {
				t.Fatalf("%q comes after a response that closes: %q", rest, wrote)
			}
			return
		}
		resp, _ = readFinal(t, br, "GET", wrote)
		if body, err := io.ReadAll(resp.Body); string(body) != "next" || err != nil {
			t.Fatalf("the next response is %q, %v: %q", body, err, wrote)
		}
		if rest, _ := io.ReadAll(br); len(rest) > 0 {
			t.Fatalf("%q comes after the responses: %q", rest, wrote)
		}
	})
}

// kernel is a connection that takes files from a reader.
type kernel struct{ *oneWay }

func (k kernel) ReadFrom(r io.Reader) (int64, error) { return k.wrote.ReadFrom(r) }

// readFinal reads a final response, and counts those before it.
func readFinal(t *testing.T, br *bufio.Reader, method string, all []byte) (*http.Response, int) {
	for informed := 0; ; informed++ {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%v: %q", err, all)
		}
		if resp.StatusCode >= 200 {
			return resp, informed
		}
	}
}

// deeds is what a handler has done.
type deeds struct {
	status, informed int
	length           int // -1: not set
	body             string
	fields           []string
	trailer          http.Header
}

// do runs a script: letters, some of them with a number.
func (d *deeds) do(w *Response, script []byte) {
	d.reset()
	text := strings.Repeat("0123456789abcdef", 64)
	for len(script) > 0 {
		op := script[0]
		script = script[1:]
		digits := 0
		for digits < len(script) && digits < 3 && '0' <= script[digits] && script[digits] <= '9' {
			digits++
		}
		n, _ := strconv.Atoi(string(script[:digits]))
		script = script[digits:]
		switch op {
		case 'w':
			d.begin(200)
			n, err := io.WriteString(w, text[:n])
			d.wrote(text[:n], err)
		case 'b': // more than is gathered
			d.begin(200)
			big := strings.Repeat(text[:n], 40)
			n, err := io.WriteString(w, big)
			d.wrote(big[:n], err)
		case 'i':
			d.begin(200)
			n, err := w.ReadFrom(strings.NewReader(text[:n]))
			d.wrote(text[:n], err)
		case 'f':
			d.begin(200)
			w.FlushError()
		case 's':
			status := []int{200, 204, 205, 304, 404, 426, 999}[n%7]
			w.WriteHeader(status)
			d.begin(status)
		case 'e':
			if d.status == 0 {
				w.WriteHeader(102 + n%2)
				d.informed++
			}
		case 'c':
			if d.status == 0 {
				w.Header().Set("Content-Length", strconv.Itoa(n))
				d.length = n
			}
		case 't':
			if d.status == 0 {
				w.Header().Set("Trailer", "X-Named, Content-Length")
				d.trailer["X-Named"] = nil
			}
		case 'n':
			if _, ok := d.trailer["X-Named"]; ok {
				w.Header().Set("X-Named", "named")
				d.trailer["X-Named"] = []string{"named"}
			}
		case 'p':
			w.Header().Set(http.TrailerPrefix+"X-More", "more\r\nX: y")
			d.trailer["X-More"] = []string{"more  X: y"}
		case 'h':
			if d.status == 0 {
				w.Header().Add("X-Set", text[:n]+"\r\n\r\nHTTP/1.1 200 OK")
				d.fields = append(d.fields, strings.TrimSpace(text[:n]+"    HTTP/1.1 200 OK"))
			}
		case 'k':
			if d.status == 0 {
				w.Header().Set("Connection", "close")
			}
		case 'u':
			if d.status == 0 {
				w.Header().Set("Upgrade", "x")
			}
		case 'r':
			if w.Reset() {
				informed := d.informed
				d.reset()
				d.informed = informed
			}
		}
	}
	d.begin(200)
}

func (d *deeds) reset() { *d = deeds{length: -1, trailer: http.Header{}} }

func (d *deeds) begin(status int) {
	if d.status == 0 {
		d.status = status
	}
}

// wrote notes what a Write has taken.
func (d *deeds) wrote(p string, err error) {
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return
	}
	d.body += p
}
