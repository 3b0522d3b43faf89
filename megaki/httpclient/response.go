package httpclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"mkd/httpfield"
)

// ParseResponse reads a message that is exactly one HTTP/1.1 response to a
// request (RFC 9112); nil is a GET. The body of the response is in memory, and
// its ContentLength is the length of the body, except for a response to HEAD.
// The error is a *ResponseError.
//
// The length of a message is not authenticated: up to 15 bytes could be missing
// or be too many. So the response has to show where its body ends, with a
// Content-Length or in chunks.
func ParseResponse(message []byte, r *http.Request) (*http.Response, error) {
	response, err := parseResponse(message, r)
	if err != nil {
		return nil, &ResponseError{err}
	}
	return response, nil
}

func parseResponse(message []byte, r *http.Request) (*http.Response, error) {
	if len(message) == 0 {
		return nil, errors.New("it is empty")
	}
	if !bytes.HasPrefix(message, []byte("HTTP/1.1 ")) {
		return nil, fmt.Errorf("it begins with %q", message[:min(len(message), 40)])
	}
	if err := checkHead(message); err != nil {
		return nil, err
	}
	in := bufio.NewReader(bytes.NewReader(message))
	response, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 200 {
		return nil, fmt.Errorf("its status is %s, after which another one follows", response.Status)
	}
	body, err := io.ReadAll(response.Body)
	rest, _ := io.ReadAll(in)
	chunked := response.TransferEncoding != nil
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("its body is cut off: %d bytes came", len(body))
	case err != nil:
		return nil, fmt.Errorf("its body: %w", err)
	case len(rest) > 0:
		return nil, fmt.Errorf("%d bytes follow it", len(rest))
	case response.ContentLength < 0 && !chunked && len(body) > 0:
		return nil, errors.New("it has a body, but neither Content-Length nor chunks, so it may be cut off")
	}
	if r == nil || r.Method != http.MethodHead {
		response.ContentLength = int64(len(body))
	}
	response.TransferEncoding = nil
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// checkHead checks what net/http accepts and should not.
func checkHead(message []byte) error {
	framed := 0 // fields that give the length of the body
	for at, line := 0, 1; ; line++ {
		n := bytes.IndexByte(message[at:], '\n')
		if n < 0 {
			return errors.New("its head doesn't end with an empty line")
		}
		text, ok := bytes.CutSuffix(message[at:at+n], []byte("\r"))
		if !ok {
			return fmt.Errorf("line %d ends in LF alone: it ends in CR LF", line)
		}
		at += n + 1
		if len(text) == 0 {
			return nil
		}
		if i := httpfield.ControlIn(string(text)); i >= 0 {
			return fmt.Errorf("line %d has the control character 0x%02x", line, text[i])
		}
		name, _, _ := strings.Cut(string(text), ":")
		switch strings.ToLower(name) {
		case "content-length", "transfer-encoding":
			framed++
		}
		if framed > 1 {
			return fmt.Errorf("line %d is a second Content-Length or Transfer-Encoding", line)
		}
		if text[0] == ' ' || text[0] == '\t' {
			return fmt.Errorf("line %d begins with a space", line)
		}
	}
}
