package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// sendH3 sends an HTTP/1.1 request in bytes to the HTTPS listener in HTTP/3, with its path
// as it is written. It returns the response as HTTP/1.1, nil if there is none.
func sendH3(t *testing.T, p *Daemon, request string) []byte {
	t.Helper()
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	line, fields, _ := strings.Cut(head, "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	target := rest[:strings.LastIndexByte(rest, ' ')]
	address := p.Addr("secure").String()
	r := &http.Request{Method: method, URL: &url.URL{Scheme: "https", Host: address, Opaque: target}, Header: make(http.Header)}
	if strings.HasPrefix(target, "//") {
		r.URL.Opaque, r.URL.Path = "", target
	}
	for f := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(f, ": ")
		switch http.CanonicalHeaderKey(name) {
		case "Host":
			r.Host = value
		case "Connection", "": // HTTP/3 has none
		case "Content-Length":
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		default:
			r.Header[name] = append(r.Header[name], value)
		}
	}
	resp, err := http3Client(t, address, "", nil).Transport.RoundTrip(r.WithContext(t.Context()))
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	resp.Header.Del("Date")
	resp.ProtoMajor, resp.ProtoMinor = 1, 1
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := resp.Write(w); err != nil {
		return nil
	}
	w.Flush()
	return out.Bytes()
}
