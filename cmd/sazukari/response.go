package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// response is an HTTP response that came as a message.
type response struct {
	*http.Response        // its body is read
	head           []byte // with the empty line
	body           []byte
}

// parseResponse reads a message that is exactly one response to a request (RFC
// 9112). The length of a message is not authenticated: up to 15 bytes could be
// missing or be too many. So the response has to show where its body ends.
func parseResponse(msg []byte, method string) (*response, error) {
	fail := func(format string, args ...any) (*response, error) {
		return nil, fmt.Errorf("what the server sent is no HTTP response: "+format, args...)
	}
	if len(msg) == 0 {
		return fail("it is empty")
	}
	if !bytes.HasPrefix(msg, []byte("HTTP/1.")) {
		return fail("it begins with %q; 'sazukari send' is for other messages", msg[:min(len(msg), 40)])
	}
	head, err := checkHead(msg)
	if err != nil {
		return fail("%w", err)
	}
	r := bufio.NewReader(bytes.NewReader(msg))
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return fail("%w", err)
	}
	if resp.StatusCode < 200 {
		return fail("its status is %s, after which another one follows", resp.Status)
	}
	a := &response{Response: resp, head: head}
	a.body, err = io.ReadAll(resp.Body)
	rest, _ := io.ReadAll(r)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail("its body is cut off: %d bytes came", len(a.body))
	case err != nil:
		return fail("its body: %w", err)
	case len(rest) > 0:
		return fail("%d bytes follow it", len(rest))
	case resp.ContentLength < 0 && resp.TransferEncoding == nil && len(a.body) > 0:
		return fail("it has a body, but neither Content-Length nor chunks, so it may be cut off")
	}
	return a, nil
}

// checkHead returns the head. It checks what net/http accepts and should not.
func checkHead(msg []byte) ([]byte, error) {
	framed := 0 // fields that give the length of the body
	for at, line := 0, 1; ; line++ {
		n := bytes.IndexByte(msg[at:], '\n')
		if n < 0 {
			return nil, errors.New("its head doesn't end with an empty line")
		}
		text, ok := bytes.CutSuffix(msg[at:at+n], []byte("\r"))
		if !ok {
			return nil, fmt.Errorf("line %d ends in LF alone: it ends in CR LF", line)
		}
		at += n + 1
		if len(text) == 0 {
			return msg[:at], nil
		}
		for _, c := range text {
			if c < ' ' && c != '\t' || c == 0x7f {
				return nil, fmt.Errorf("line %d has the control character 0x%02x", line, c)
			}
		}
		name, _, _ := strings.Cut(string(text), ":")
		switch strings.ToLower(name) {
		case "content-length", "transfer-encoding":
			framed++
		}
		if framed > 1 {
			return nil, fmt.Errorf("line %d is a second Content-Length or Transfer-Encoding", line)
		}
		if text[0] == ' ' || text[0] == '\t' {
			return nil, fmt.Errorf("line %d begins with a space", line)
		}
	}
}

// location returns where a redirect leads.
func (a *response) location() (string, bool) {
	switch a.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		location := a.Header.Get("Location")
		return location, location != ""
	}
	return "", false
}
