package php

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mkd/httpfield"
	"mkd/metavar"
)

// HTTPCall is an HTTP request for a script's on_http.
type HTTPCall struct {
	// Request is the request as the script sees it: its Method, URL, Proto, Host,
	// Header, Body and ContentLength. The script doesn't see fields that PHP
	// can't distinguish from others (Proxy, and names with an underscore or a dot).
	//
	// The Body isn't closed. The body of a form with files, and a body of at most
	// 8 KiB, is read before the call waits for a worker: the Body itself has to
	// bound these reads. A longer body is read while the call has a worker, within
	// the time of the call, like Call.More.
	Request *http.Request

	RequestURI string         // as the client sent it; default: Prefix and that of Request.URL
	Prefix     string         // of the path, which a route has removed, such as /shop
	ClientAddr netip.AddrPort // REMOTE_ADDR, REMOTE_PORT
	ServerAddr netip.AddrPort // SERVER_ADDR, SERVER_PORT: where the request came in
	HTTPS      bool           // whether the client's connection is encrypted
	Session    [16]byte       // the Megaki session's token; zeros: none
	Key        string         // MEGAKI_KEY: the server key that the session began with; empty: none
	Route      string         // for log lines
	RequestID  string         // for log lines, like Call.RequestID
	Client     netip.Prefix   // whose turn the call waits for, like Call.Client

	// Worker is set by DoHTTP, like Call.Worker by Do.
	Worker int
}

// DoHTTP sends an HTTP request to a worker, and writes the response to w. Time
// limits, repetition and errors are those of Do, with two exceptions: Timeout
// starts anew when the response begins, and after each part that w has taken; and
// a form that can't be received is a *FormError. After an error, what was written
// to w isn't a whole response.
//
// When w refuses a part, the script is asked to produce no more of them, and DoHTTP
// returns w's error, unless the script or its worker fails after that.
func (p *Pool) DoHTTP(ctx context.Context, c *HTTPCall, w ResponseWriter) error {
	m := httpMessage{HTTPCall: c, script: &p.base, is: c.task()}
	resp := &receiver{http: w, bodiless: c.Request.Method == http.MethodHead}
	var err error
	if IsForm(c.Request) {
		boundary, err := formBoundary(c.Request.Header.Get("Content-Type"))
		if err != nil {
			return err
		}
		most := p.partsOfForms()
		if m.form, err = readForm(c.Request.Body, boundary, c.Client, p.uploads, &p.opt, most); err != nil {
			return err
		}
		if m.form.excess {
			p.log.Warn(fmt.Sprintf("Multipart body parts limit exceeded %d. To increase the limit change max_multipart_body_parts in php.ini.", most),
				"request_id", c.RequestID, "route", c.Route)
		}
		defer func() {
			if !resp.worksOn { // the script may still use the files
				m.form.close()
			}
		}()
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
	err = p.call(ctx, &m, resp)
	c.Worker = resp.worker
	return err
}

// requests has buffers for the frames of requests.
var requests = sync.Pool{New: func() any { return new([]byte) }}

// maxKept bounds the buffers that are kept, in bytes.
const maxKept = 64 << 10

// httpMessage is the message of an HTTPCall.
type httpMessage struct {
	*HTTPCall
	is     task // the Request is the caller's again while the worker works on after its response
	script *string
	flags  byte
	form   *form
	small  []byte    // the body, if it is small
	body   io.Reader // a larger body; nil: there is none
	frames []byte    // all frames but those of body
}

func (m *httpMessage) origin() origin { return origin{m.RequestID, m.Route} }

func (m *httpMessage) task() task { return m.is }

func (c *HTTPCall) task() task {
	path, _, _ := strings.Cut(c.RequestURI, "?")
	if c.RequestURI == "" {
		path = c.Request.URL.Path
	}
	return task{c.Client, c.Route, c.Request.Method, path}
}

func (m *httpMessage) ended() {
	if m.form != nil {
		m.form.close()
	}
}

// smallBody bounds the bodies that are read at once, in bytes.
const smallBody = 8 << 10

// takeBody reads a small body, and leaves a larger one to be sent in parts.
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

// errNUL means that a value of the request has a NUL, which would end it for the
// worker. No listener lets one in.
var errNUL = errors.New("a NUL in the request's header")

// append appends the frames of the request, without an id.
func (m *httpMessage) append(buf []byte) ([]byte, error) {
	flags := m.flags
	if m.small != nil || m.body != nil {
		flags |= callMore
	}
	buf = appendCallHead(buf, flags, &m.Session, metavar.Address(m.ClientAddr))
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

// appendRequest appends the request without its body: values, each ended by a NUL.
// It returns how many.
func (m *httpMessage) appendRequest(buf []byte) ([]byte, int) {
	r := m.Request
	values := 0
	add := func(s string) { buf, values = append(append(buf, s...), 0), values+1 }
	number := func(n int64) { buf, values = append(strconv.AppendInt(buf, n, 10), 0), values+1 }

	add(stringOr(r.Method, http.MethodGet))
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
	add(stringOr(r.Proto, "HTTP/1.1"))
	scheme, port := "http", int64(80)
	if m.HTTPS {
		scheme, port = "https", 443
	}
	add(scheme)
	add(r.Host)
	local := metavar.Address(m.ServerAddr)
	add(metavar.ServerName(r.Host, local.Addr()))
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
	add(m.Key)

	var few [32]string
	names := few[:0]
	fields := 0
	for name, lines := range r.Header {
		if passes(name) {
			names = append(names, name)
			fields += len(shown(name, lines))
		}
	}
	slices.Sort(names)
	number(int64(fields))
	for _, name := range names {
		for _, value := range shown(name, r.Header[name]) {
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

// stringOr returns s, or otherwise if s is empty.
func stringOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// passes reports whether the script sees a field. Host and the length of the body
// are values of their own.
func passes(name string) bool {
	if strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length") {
		return false
	}
	return httpfield.IsToken(name) && !metavar.Hidden(name)
}

// shown returns the values of a field that the script sees. Of the type of the body
// it is the first one, which decides what the body is, unless that is empty.
func shown(name string, values []string) []string {
	if name != "Content-Type" || len(values) == 0 {
		return values
	}
	if values[0] == "" {
		return nil
	}
	return values[:1]
}

// scriptName returns SCRIPT_NAME below a prefix.
func scriptName(script string) string { return "/" + filepath.Base(script) }
