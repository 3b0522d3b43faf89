package upstream

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mkd/httpfield"
	"mkd/proxy/roundtrip"
)

// ending is what ends the body of a response.
type ending int

const (
	atHead   ending = iota // there is no body
	atLength               // Content-Length announces it
	atChunk                // the last chunk is it
	atClose                // the server closes the connection
)

// protocol is how each response begins.
const protocol = "HTTP/1."

// maxInformational is how many 1xx responses may come before the final one.
const maxInformational = 16

// readHeads reads the head of the final response, and those of 1xx responses
// before.
func (rt *roundTrip) readHeads() error {
	for range maxInformational + 1 {
		// The first bytes show what isn't HTTP/1: more may never come.
		if p, err := rt.br.Peek(len(protocol)); !strings.HasPrefix(protocol, string(p)) {
			return errProtocol
		} else if err != nil {
			return err
		}
		text, err := rt.readLines()
		if err != nil {
			return err
		}
		resp := &rt.resp
		if err := parseHead(text, resp, rt.header, rt.values[:]); err != nil {
			return err
		}
		switch code := resp.StatusCode; {
		case code == http.StatusSwitchingProtocols:
			return rt.checkSwitch()
		case code >= 200:
			return nil
		case code == http.StatusContinue && rt.Forget():
			rt.startBody()
		}
		if err := rt.events.Inform(resp.StatusCode, resp.Header); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: more than %d responses of status 1xx", roundtrip.ErrHeader, maxInformational)
}

// readLines reads lines up to an empty one: a head, or a trailer.
func (rt *roundTrip) readLines() (string, error) {
	buf := rt.t.buffers.Get()
	defer rt.t.buffers.Put(buf)
	most, start := rt.t.maxHeader(), 0
	for {
		p, err := rt.br.ReadSlice('\n')
		if rt.headSize += len(p); rt.headSize > most {
			return "", fmt.Errorf("%w: it is longer than %d bytes", roundtrip.ErrHeader, most)
		}
		*buf = append(*buf, p...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil:
			return "", err
		}
		if line := (*buf)[start:]; len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			return string(*buf), nil
		}
		start = len(*buf)
	}
}

// parseHead parses the head of a response, whose lines all have their ends, into
// resp (RFC 9112, sections 4 and 5). The fields of a final response go into h; nil: a
// new Header. Their values are kept in values, as far as they fit.
func parseHead(text string, resp *http.Response, h http.Header, values []string) error {
	line, rest, _ := strings.Cut(text, "\n")
	if err := parseStatus(strings.TrimSuffix(line, "\r"), resp); err != nil {
		return err
	}
	if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		h, values = nil, nil
	}
	var err error
	resp.Header, err = roundtrip.ParseFields(rest, h, values, false)
	return err
}

// parseStatus parses the status line. It isn't quoted in an error: what isn't a
// status line may be anything, another client's secret among them.
func parseStatus(line string, resp *http.Response) error {
	if len(line) < len("HTTP/1.x 200") || !strings.HasPrefix(line, protocol) || line[7] < '0' || line[7] > '9' || line[8] != ' ' {
		return errProtocol
	}
	status := line[9:]
	if !httpfield.IsDigits(status[:3]) || status[0] == '0' || len(status) > 3 && status[3] != ' ' {
		return fmt.Errorf("%w: the status isn't three digits from 100 to 999", roundtrip.ErrHeader)
	}
	if !httpfield.IsValue(status) {
		return fmt.Errorf("%w: a control character in the status line", roundtrip.ErrHeader)
	}
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = line[:8], 1, int(line[7]-'0')
	resp.Status = status
	resp.StatusCode = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	return nil
}

// frame finds out where a response ends, and completes resp (RFC 9112, section
// 6.3).
func frame(resp *http.Response, method string) (ending, error) {
	h := resp.Header
	length, err := roundtrip.ContentLength(h, false)
	if err != nil {
		return 0, err
	}
	coded, err := chunked(h, length, resp.ProtoMinor)
	if err != nil {
		return 0, err
	}
	if coded {
		resp.TransferEncoding = []string{"chunked"}
		takeTrailer(resp)
	}
	resp.ContentLength = length
	switch code := resp.StatusCode; {
	case code < 200 || code == http.StatusNoContent:
		delete(h, "Content-Length") // RFC 9110, section 8.6
		resp.ContentLength = 0
		return atHead, nil
	case code == http.StatusNotModified:
		resp.ContentLength = 0
		return atHead, nil
	case method == http.MethodHead:
		return atHead, nil
	case coded:
		return atChunk, nil
	case length == 0:
		return atHead, nil
	case length > 0:
		return atLength, nil
	}
	return atClose, nil
}

// chunked reports whether the response is chunked, and removes the field that
// declares it. Together with a Content-Length, or in HTTP/1.0, it is an attempt at
// smuggling, or the work of a server that can't be trusted to know where its
// response ends.
func chunked(h http.Header, length int64, minor int) (bool, error) {
	values, ok := h["Transfer-Encoding"]
	switch {
	case !ok:
		return false, nil
	case minor == 0:
		return false, fmt.Errorf("%w: Transfer-Encoding in HTTP/1.0", roundtrip.ErrHeader)
	case length >= 0:
		return false, fmt.Errorf("%w: both Transfer-Encoding and Content-Length", roundtrip.ErrHeader)
	case len(values) != 1 || !strings.EqualFold(values[0], "chunked"):
		return false, fmt.Errorf("%w: a Transfer-Encoding other than chunked", roundtrip.ErrHeader)
	}
	delete(h, "Transfer-Encoding")
	return true, nil
}

// takeTrailer puts the names of the fields that the server announces for after
// the body into resp.Trailer, as http.Response defines it.
func takeTrailer(resp *http.Response) {
	values, ok := resp.Header["Trailer"]
	if !ok {
		return
	}
	delete(resp.Header, "Trailer")
	resp.Trailer = make(http.Header)
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.Trim(name, " \t"); httpfield.IsToken(name) && trails(name) {
				resp.Trailer[http.CanonicalHeaderKey(name)] = nil
			}
		}
	}
}

// trails reports whether a field may come after the body: none may that concerns
// the framing (RFC 9110, section 6.5.1).
func trails(name string) bool { return passes(name) }

// persistent reports whether the server keeps the connection open after a response
// (RFC 9112, section 9.3).
func persistent(resp *http.Response) bool {
	values := resp.Header["Connection"]
	if resp.ProtoMinor == 0 {
		return httpfield.HasItem(values, "keep-alive") && !httpfield.HasItem(values, "close")
	}
	return !httpfield.HasItem(values, "close")
}

// keepAlive returns how long the server keeps an idle connection: the parameter
// timeout of the field Keep-Alive, in seconds. Less than 0: there is none.
func keepAlive(h http.Header) time.Duration {
	for _, v := range h["Keep-Alive"] {
		for item := range strings.SplitSeq(v, ",") {
			name, value, _ := strings.Cut(item, "=")
			if !strings.EqualFold(strings.Trim(name, " \t"), "timeout") {
				continue
			}
			value = strings.Trim(value, " \t\"")
			if n, err := strconv.ParseUint(value, 10, 16); err == nil {
				return time.Duration(n) * time.Second
			}
		}
	}
	return -1
}
