package httpmsg

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"mkd/httpfield"
)

// Default limits of a request's head.
const (
	MaxHead   = 64 << 10 // bytes: the request line, the fields, the empty line
	MaxFields = 200      // field lines
)

// Limits bound the head of a request.
type Limits struct {
	Head   int // bytes, the empty line included; 0: MaxHead
	Fields int // field lines; 0: MaxFields
}

func (l Limits) head() int {
	if l.Head == 0 {
		return MaxHead
	}
	return l.Head
}

func (l Limits) fields() int {
	if l.Fields == 0 {
		return MaxFields
	}
	return l.Fields
}

// HeadScanner finds the end of a head that arrives in pieces. It looks at each
// byte once or twice, however small the pieces are. The zero value is ready to
// use.
type HeadScanner struct {
	Limits
	start int // of the line that isn't complete
	next  int // what comes before is known to have no line end
	lines int // complete lines
}

// Reset prepares s for another head.
func (s *HeadScanner) Reset() { s.start, s.next, s.lines = 0, 0, 0 }

// Scan returns the length of the head at the beginning of b, its empty line
// included, or 0 if more bytes are needed. The next call must get the same
// bytes and more. Scan fails with an *Error as soon as a line doesn't end in
// CR LF, when the first byte can't begin a method, and when the head passes a limit.
func (s *HeadScanner) Scan(b []byte) (n int, err error) {
	most := min(len(b), s.head())
	if most > 0 && (isControl(b[0]) && b[0] != '\r' && b[0] != '\n' || b[0] >= 0x80) { // as of TLS: a line end may never come
		return 0, bad(1, "no request line: it begins with the byte 0x%02x", b[0])
	}
	for {
		i := bytes.IndexByte(b[s.next:most], '\n')
		if i < 0 {
			line := b[s.start:most]
			if cr := bytes.IndexByte(line[max(0, s.next-s.start-1):], '\r'); cr >= 0 && max(0, s.next-s.start-1)+cr+1 < len(line) {
				return 0, bad(s.lines+1, "a carriage return without a line feed: lines end in CR LF")
			}
			s.next = most
			if len(b) > s.head() && s.lines == 0 {
				return 0, &Error{Status: http.StatusRequestURITooLong, Line: 1, Reason: fmt.Sprintf("it is longer than %d bytes", s.head())}
			}
			if len(b) > s.head() {
				return 0, tooLarge("the head is longer than %d bytes", s.head())
			}
			return 0, nil
		}
		end := s.next + i // of the line feed
		line := b[s.start:end]
		switch {
		case len(line) == 0 || line[len(line)-1] != '\r':
			return 0, bad(s.lines+1, "a line feed without a carriage return: lines end in CR LF")
		case bytes.IndexByte(line, '\r') != len(line)-1:
			return 0, bad(s.lines+1, "a carriage return without a line feed: lines end in CR LF")
		case len(line) == 1 && s.lines == 0:
			return 0, bad(1, "empty, where the request line should be")
		case len(line) == 1:
			return end + 1, nil
		}
		s.start, s.next = end+1, end+1
		if s.lines++; s.lines > s.fields()+1 {
			return 0, tooLarge("the head has more than %d fields", s.fields())
		}
	}
}

// Framing is where the body of a request ends (RFC 9112, section 6.3).
type Framing struct {
	Length  int64 // in bytes; 0: there is no body; -1: the body is chunked
	Chunked bool
	Expect  bool // the client waits for 100 (Continue) before it sends the body
}

// Parser reads heads of requests. It keeps its memory for the next head. It must
// not be copied, and isn't safe for use by several goroutines.
type Parser struct {
	r       *http.Request
	url     url.URL
	values  []string // of fields
	line    int      // being read, from 1
	length  int64    // Content-Length; -1: there is none
	chunked bool
	expect  bool
}

// ParseHead reads a head whose end a HeadScanner found, and sets the Method,
// URL, Proto, Header, Host and RequestURI of r, which must be new or blank. The
// Header of r is used again if there is one; URL and the field values belong to
// the Parser, and are valid until the next call. All errors are of type *Error; r
// then has what was read before the fault.
//
// The rules are those of RFC 9112, and where it leaves a choice, the strict
// one: exactly one Host in HTTP/1.1, one Content-Length or Transfer-Encoding and
// never both, no Transfer-Encoding in HTTP/1.0, no line folding. The target is a
// path with its query, or a whole http or https URL; CONNECT and "OPTIONS *" are
// refused. The path is as it came: see CleanPath.
//
// The Transfer-Encoding and Expect fields are left out: Framing has what they
// say.
func (p *Parser) ParseHead(head []byte, r *http.Request) (Framing, error) {
	p.r, p.line, p.length, p.chunked, p.expect = r, 1, -1, false, false
	defer func() { p.r = nil }()
	text := string(head[:len(head)-len("\r\n")]) // one allocation for the whole head
	line, rest := cutLine(text)
	if err := p.requestLine(line); err != nil {
		return Framing{}, err
	}
	if err := p.fields(rest); err != nil {
		return Framing{}, err
	}
	if err := p.checkHost(); err != nil {
		return Framing{}, err
	}
	f := Framing{Length: max(p.length, 0), Chunked: p.chunked, Expect: p.expect && p.r.ProtoMinor == 1}
	if p.chunked {
		f.Length = -1
	}
	return f, nil
}

// Blank makes r a request of which nothing is known, whatever was done with it
// before. It keeps the connection's part, RemoteAddr, TLS and the context, and the
// Header, which it empties, for use again.
func Blank(r *http.Request) {
	r.Method, r.URL, r.RequestURI, r.Host = "", nil, "", ""
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Body, r.GetBody, r.ContentLength, r.TransferEncoding, r.Trailer = nil, nil, 0, nil, nil
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	r.Close, r.Pattern, r.Response = false, "", nil
	clear(r.Header)
}

// requestLine reads the method, the target and the version (RFC 9112, section 3).
func (p *Parser) requestLine(line string) error {
	method, rest, ok := strings.Cut(line, " ")
	if !ok {
		return bad(1, "no request line: that is a method, a path, and HTTP/1.1, with a space between each")
	}
	if err := checkMethod(method); err != nil {
		return err
	}
	i := strings.LastIndexByte(rest, ' ')
	if i < 0 {
		return bad(1, "the version is missing: the line ends in a space and HTTP/1.1")
	}
	r := p.r
	target, version := rest[:i], rest[i+1:]
	switch minor, ok := strings.CutPrefix(version, "HTTP/1."); {
	case ok && minor == "0":
		r.ProtoMinor = 0
	case ok && len(minor) == 1 && httpfield.IsDigits(minor): // a later one is served as 1.1 (RFC 9110, section 2.5)
		version, r.ProtoMinor = "HTTP/1.1", 1
	default:
		if strings.HasPrefix(version, "HTTP/") && len(version) == len("HTTP/1.1") {
			return &Error{Status: http.StatusHTTPVersionNotSupported, Line: 1,
				Reason: "the version is " + quote(version) + ": it is HTTP/1.1 or HTTP/1.0"}
		}
		return bad(1, "the version is %s: it is HTTP/1.1 or HTTP/1.0", quote(version))
	}
	r.Proto, r.ProtoMajor = version, 1
	r.Method, r.RequestURI = method, target
	if method == http.MethodConnect {
		return &Error{Status: http.StatusNotImplemented, Line: 1, Reason: "the method CONNECT: there are no tunnels here"}
	}
	return p.target()
}
