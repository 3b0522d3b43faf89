package php

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"mkd/httpfield"
)

// RunOnce starts a worker, handles one message with it, and writes the response to w.
//
// A message whose first line is that of an HTTP/1 request is one for a script with an
// on_http; the response is written as HTTP/1.1. Lines of its header may end with a
// single LF, and without a Content-Length all that follows the header is the body. Any
// other message, and every message to a script with an on_handle alone, is handled as
// it is.
func RunOnce(ctx context.Context, opt Options, message []byte, w io.Writer) error {
	opt.MinWorkers, opt.MaxWorkers = 1, 1
	p, err := NewPool(opt)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Start(ctx); err != nil {
		return err
	}
	client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1)
	if isHTTP(message) && p.TakesHTTP() {
		err = p.runHTTP(ctx, client, message, w)
	} else {
		err = p.Do(ctx, &Call{ClientAddr: client, Body: message}, w)
	}
	if err != nil {
		return err
	}
	return p.Shutdown(ctx) // after what comes after the response
}

var httpVersion = regexp.MustCompile(`^\S+ HTTP/1\.[01]\r?$`)

// isHTTP reports whether a message begins as an HTTP/1 request does.
func isHTTP(message []byte) bool {
	line, _, _ := strings.Cut(string(message[:min(len(message), 64<<10)]), "\n")
	method, rest, _ := strings.Cut(line, " ")
	return httpfield.IsToken(method) && httpVersion.MatchString(rest)
}

// runHTTP sends a message as an HTTP request.
func (p *Pool) runHTTP(ctx context.Context, client netip.AddrPort, message []byte, w io.Writer) error {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(message)))
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	if r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) == 0 {
		if i := endOfHeader(message); i < len(message) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(message[i:])), int64(len(message)-i)
		}
	}
	out := &textResponse{w: w}
	err = p.DoHTTP(ctx, &HTTPCall{Request: r, RequestURI: r.RequestURI, ClientAddr: client}, out)
	return errors.Join(err, out.err)
}

// endOfHeader returns where the body of a message begins.
func endOfHeader(message []byte) int {
	for i := range message {
		if message[i] != '\n' {
			continue
		}
		rest := bytes.TrimPrefix(message[i+1:], []byte("\r"))
		if bytes.HasPrefix(rest, []byte("\n")) {
			return len(message) - len(rest) + 1
		}
	}
	return len(message)
}

// textResponse writes a response as HTTP/1.1.
type textResponse struct {
	w   io.Writer
	err error
}

func (t *textResponse) write(status int, header http.Header) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	header.Write(&b)
	b.WriteString("\r\n")
	_, t.err = t.w.Write(b.Bytes())
	return t.err
}

// EarlyHints implements ResponseWriter.
func (t *textResponse) EarlyHints(header http.Header) error {
	return t.write(http.StatusEarlyHints, header)
}

// Head implements ResponseWriter.
func (t *textResponse) Head(status int, header http.Header, length int64) error {
	if length >= 0 {
		header.Set("Content-Length", fmt.Sprint(length))
	}
	return t.write(status, header)
}

// Write implements ResponseWriter.
func (t *textResponse) Write(p []byte) (int, error) { return t.w.Write(p) }

// Flush implements ResponseWriter.
func (t *textResponse) Flush() error { return nil }
