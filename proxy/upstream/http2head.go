package upstream

import (
	"fmt"
	"net/http"
	"strings"

	"mkd/httpfield"
	"mkd/proxy/roundtrip"
)

// checkHTTP2 checks what parseHead and frame check in a response of HTTP/1, and net/http
// doesn't in one of HTTP/2: that its status is one, and that its Content-Length is that of
// its body (RFC 9113, sections 8.1.1 and 8.3.2).
func checkHTTP2(resp *http.Response) error {
	status, _, _ := strings.Cut(resp.Status, " ")
	if code := resp.StatusCode; len(status) != 3 || !httpfield.IsDigits(status) || code < 200 { // net/http takes any number
		return fmt.Errorf("%w: the status isn't three digits from 200 to 999", roundtrip.ErrHeader)
	}
	h := resp.Header
	trimValues(h)
	length, err := roundtrip.ContentLength(h, false)
	switch {
	case err != nil:
		return err
	case length >= 0 && length != resp.ContentLength: // net/http took it for none
		return fmt.Errorf("%w: the lines of Content-Length aren't one number", roundtrip.ErrHeader)
	case resp.StatusCode == http.StatusNoContent:
		delete(h, "Content-Length") // RFC 9110, section 8.6
	}
	cleanTrailer(resp.Trailer)
	return nil
}

// cleanTrailer removes from a trailer of HTTP/2 what isn't taken from one of HTTP/1 either.
func cleanTrailer(h http.Header) {
	for name := range h {
		if !httpfield.IsToken(name) || !trails(name) {
			delete(h, name)
		}
	}
	trimValues(h)
}

// trimValues drops the spaces around values, which HTTP/2 doesn't allow (RFC 9113, section
// 8.2.1), net/http does, and clients of HTTP/1 drop: they would see another value than mkd.
func trimValues(h http.Header) {
	for _, values := range h {
		for i, v := range values {
			values[i] = strings.Trim(v, " \t")
		}
	}
}
