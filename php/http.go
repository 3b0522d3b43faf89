package php

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mkd/httptoken"
)

// HTTPCall is an HTTP request for a script's on_http.
type HTTPCall struct {
	// Request is the request as the script sees it: of it Method, URL, Proto,
	// Host, Header, Body and ContentLength count. Fields that PHP couldn't tell
	// from others are left out (Proxy, and names with an underscore or a dot).
	//
	// The Body isn't closed. That of a form with files, and one of at most 8 KiB,
	// is read before the call waits for a worker: whatever bounds these reads is
	// up to the Body. A longer one is read while a worker is held, within the
	// call's time, as Call.More is.
	Request *http.Request

	RequestURI string         // as the client sent it; default: Prefix and that of Request.URL
	Prefix     string         // of the path, which a route took off; as /shop
	ClientAddr netip.AddrPort // REMOTE_ADDR, REMOTE_PORT
	ServerAddr netip.AddrPort // SERVER_ADDR, SERVER_PORT: where the request came in
	HTTPS      bool           // whether the client's connection is encrypted
	Session    [16]byte       // the Megaki session's token; zeros: none
	Route      string         // named in log lines
	Client     netip.Prefix   // whose turn the call waits for, as of Call.Client
}

// DoHTTP has a worker answer an HTTP request, and hands the answer to w. Time
// limits and repetition are as with Do, but for one thing: Timeout runs anew when
// the answer begins, and after each part of it that w has taken. Errors are as
// with Do, too; there is *FormError besides. If there is an error after w's Head was called, what was written is
// no whole answer.
//
// When w doesn't take a part, the script is told to produce no more of them, and
// the error is w's own, unless the script or its worker fails after that.
func (p *Pool) DoHTTP(ctx context.Context, c *HTTPCall, w ResponseWriter) error {
	m := httpMessage{HTTPCall: c, script: &p.base}
	var err error
	if IsForm(c.Request) {
		boundary, err := formBoundary(c.Request.Header.Get("Content-Type"))
		if err != nil {
			return err
		}
		if m.form, err = readForm(c.Request.Body, boundary, p.uploads, &p.opt); err != nil {
			return err
		}
		defer m.form.close()
		m.body, m.flags = m.form.fields.reader(), callForm
	} else if err = m.takeBody(); err != nil {
		return err
	}
	if n := p.stuck.Load(); m.body != nil && n >= int64(p.opt.MaxWorkers) {
		return tooManyStuck(n)
	}
	buf := requests.Get().(*[]byte)
	defer requests.Put(buf)
	if m.frames, err = m.append((*buf)[:0]); err != nil {
		return err
	}
	if cap(m.frames) <= maxKept {
		*buf = m.frames
	}
	return p.call(ctx, &m, &receiver{http: w, bodiless: c.Request.Method == http.MethodHead})
}

// requests are buffers for requests on their way.
var requests = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is how large such a buffer may be, to be kept.
const maxKept = 64 << 10

// httpMessage is an HTTPCall on its way.
type httpMessage struct {
	*HTTPCall
	script *string
	flags  byte
	form   *form
	small  []byte    // the body, if it is small
	body   io.Reader // else; nil: there is none
	frames []byte    // what is to be sent, but for body
}

func (m *httpMessage) route() string      { return m.Route }
func (m *httpMessage) from() netip.Prefix { return m.Client }

// smallBody is up to how many bytes a body is read at once.
const smallBody = 8 << 10

// takeBody decides how the body goes to the worker.
func (m *httpMessage) takeBody() error {
	r := m.Request
	switch {
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
	case r.ContentLength > 0 && r.ContentLength <= smallBody:
		m.small = make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, m.small); err != nil {
			return err
		}
	default:
		m.body = r.Body
	}
	return nil
}

// errNUL says that a request has a NUL where it ends a value for the worker. No
// door lets it in.
var errNUL = errors.New("a NUL in the request's header")

// append appends the frames of a request, with no id.
func (m *httpMessage) append(buf []byte) ([]byte, error) {
	flags := m.flags
	if m.small != nil || m.body != nil {
		flags |= callMore
	}
	buf = appendCallHead(buf, flags, &m.Session, plainAddr(m.ClientAddr))
	h := frameHeader{typ: frameHTTP, head: len(buf) - frameHeaderSize}
	buf, values := m.appendRequest(buf)
	block := buf[frameHeaderSize+h.head:]
	if bytes.Count(block, []byte{0}) != values {
		return nil, errNUL
	}
	h.body = int64(len(block))
	h.put(buf)
	if m.small != nil {
		var last [frameHeaderSize]byte
		(&frameHeader{typ: frameLast, body: int64(len(m.small))}).put(last[:])
		buf = append(append(buf, last[:]...), m.small...)
	}
	return buf, nil
}

// send implements message.
func (m *httpMessage) send(w *worker, id uint64) (int, error) {
	putID(m.frames, id)
	if m.small != nil {
		putID(m.frames[len(m.frames)-len(m.small)-frameHeaderSize:], id)
	}
	n, err := w.pipe.Write(m.frames)
	if err != nil || m.body == nil {
		return n, err
	}
	return n, w.sendMore(id, m.body)
}

// appendRequest appends a request but for its body: values that are each ended
// by a NUL, and how many there are.
func (m *httpMessage) appendRequest(buf []byte) ([]byte, int) {
	r := m.Request
	values := 0
	add := func(s string) { buf, values = append(append(buf, s...), 0), values+1 }
	number := func(n int64) { buf, values = append(strconv.AppendInt(buf, n, 10), 0), values+1 }

	add(orString(r.Method, http.MethodGet))
	target := r.URL.RequestURI()
	add(target)
	switch {
	case m.RequestURI != "":
		add(m.RequestURI)
	case strings.HasPrefix(target, "/"):
		add(m.Prefix + target)
	default:
		add(target)
	}
	add(orString(r.Proto, "HTTP/1.1"))
	scheme, port := "http", int64(80)
	if m.HTTPS {
		scheme, port = "https", 443
	}
	add(scheme)
	add(r.Host)
	local := plainAddr(m.ServerAddr)
	add(serverName(r.Host, local.Addr()))
	if local.IsValid() {
		add(local.Addr().String())
		port = int64(local.Port())
	} else {
		add("")
	}
	number(port)
	add(m.Prefix + *m.script)
	if m.form != nil {
		number(m.form.size)
	} else if r.ContentLength >= 0 && (r.Body != nil || r.ContentLength > 0) {
		number(r.ContentLength)
	} else {
		add("")
	}

	var few [32]string
	names := few[:0]
	fields := 0
	for name, lines := range r.Header {
		if passes(name) {
			names = append(names, name)
			fields += len(lines)
		}
	}
	slices.Sort(names)
	number(int64(fields))
	for _, name := range names {
		for _, value := range r.Header[name] {
			add(name)
			add(value)
		}
	}
	if m.form != nil {
		for _, up := range m.form.files {
			add(up.field)
			add(up.name)
			add(up.typ)
			add(up.path)
			number(int64(up.err))
			number(up.size)
		}
	}
	return buf, values
}

func orString(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// passes tells whether the script gets to see a field. Host and the body's
// length have places of their own.
func passes(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '_' || c == '.' || !httptoken.IsByte(c) {
			return false
		}
	}
	switch len(name) {
	case 0:
		return false
	case len("Host"):
		return !strings.EqualFold(name, "Host")
	case len("Proxy"): // HTTP_PROXY means something else to many libraries (CVE-2016-5385)
		return !strings.EqualFold(name, "Proxy")
	case len("Content-Length"):
		return !strings.EqualFold(name, "Content-Length")
	}
	return true
}

// plainAddr returns an address as applications compare it: an IPv4 address is
// in its own form, and there is no zone.
func plainAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// serverName returns SERVER_NAME (RFC 3875, section 4.1.14).
func serverName(host string, local netip.Addr) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	switch {
	case host != "":
		return host
	case local.Is6():
		return "[" + local.String() + "]"
	case local.IsValid():
		return local.String()
	}
	return "localhost"
}

// scriptName returns what SCRIPT_NAME is below a prefix.
func scriptName(script string) string { return "/" + filepath.Base(script) }
