package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"mkd/httpfield"
	"mkd/proxy/httpmsg"
)

// ErrShort is returned by Finish when a body has fewer bytes than its
// Content-Length.
var ErrShort = errors.New("http1: the response's body is shorter than its Content-Length")

// errFinished is returned for what is written after Finish: the output is that of the next
// request by then.
var errFinished = errors.New("http1: the response has been finished")

// Response is an http.ResponseWriter of a connection. Of its optional methods it
// has FlushError, for http.ResponseController, and ReadFrom.
//
// Differences to net/http's: the type of a body isn't guessed; a header set by
// WriteHeader can be taken back with Reset until it has been sent; a body that
// is longer than its Content-Length is cut there, with http.ErrContentLength.
// The Connection, Transfer-Encoding and Content-Length fields of the header
// only say what the handler wants: the Response decides the framing.
type Response struct {
	conn   *conn
	req    *http.Request
	header httpmsg.ReusedHeader
	change func(http.Header)

	mu       sync.Mutex // guards status and the output against 100 (Continue), which is sent while the body is read
	status   int
	size     int64    // bytes of the body
	length   int64    // of the body, from the header; -1: unknown
	trailers []string // names announced
	prefixed bool     // there may be trailers that aren't announced
	noBody   bool     // the status, or HEAD, has none
	chunked  bool
	close    bool // the connection ends after the response
	headSent bool // the head, or its beginning, can't be taken back
	finished bool
}

var _ io.ReaderFrom = (*Response)(nil)

// reset prepares w for the next request.
func (w *Response) reset(r *http.Request) {
	w.header.Clear()
	w.req, w.change = r, nil
	w.status, w.size, w.length = 0, 0, -1
	w.trailers, w.prefixed, w.noBody, w.chunked = nil, false, false, false
	w.close, w.headSent, w.finished = r.Close, false, false
}

// Header implements http.ResponseWriter.
func (w *Response) Header() http.Header { return w.header.Fields() }

// Status returns the status of the final response, 0 before WriteHeader.
func (w *Response) Status() int { return w.status }

// Size returns the number of bytes of the body so far.
func (w *Response) Size() int64 { return w.size }

// ChangeHeader sets what is done to the header when it is written.
func (w *Response) ChangeHeader(f func(http.Header)) { w.change = f }

// Reset takes back the header and the body written so far. It reports false if
// they have been sent.
func (w *Response) Reset() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.headSent {
		return false
	}
	change := w.change
	w.conn.out.release()
	w.reset(w.req)
	w.change = change
	return true
}

// sendContinue shows the client that its body is awaited (RFC 9110, section
// 10.1.1), unless the response has begun.
func (w *Response) sendContinue() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 {
		return nil
	}
	w.conn.out.begin()
	return w.conn.out.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// WriteHeader implements http.ResponseWriter. A status from 100 to 199 is sent
// at once, but for 101: see SwitchProtocols. It panics if the status doesn't have
// three digits.
func (w *Response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic("http1: a response with the status " + strconv.Itoa(status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 || status == http.StatusSwitchingProtocols {
		return
	}
	if status < 200 {
		w.inform(status)
		return
	}
	w.status = status
	if f := w.conn.server.AltSvc; f != nil {
		if v := f(); v != nil {
			w.header.Fields()["Alt-Svc"] = v
		}
	}
	if w.change != nil {
		w.change(w.header.Fields())
	}
	w.writeHead()
}

// inform sends an informational response (RFC 9110, section 15.2).
func (w *Response) inform(status int) {
	if w.req.ProtoMinor == 0 || w.conn.out.err != nil {
		return
	}
	out := &w.conn.out
	out.begin()
	out.buf = appendStatusLine(out.buf, status)
	for name, values := range w.header.Fields() {
		if !isFraming(name) {
			out.buf = appendField(out.buf, name, values)
		}
	}
	out.buf = append(out.buf, "\r\n"...)
	out.flush()
}

// writeHead gathers the head, but for what its framing needs that isn't known.
func (w *Response) writeHead() {
	out := &w.conn.out
	out.begin()
	out.buf = appendStatusLine(out.buf, w.status)
	h := w.header.Fields()
	w.noBody = w.req.Method == http.MethodHead || !httpmsg.BodyAllowed(w.status)
	if line := h["Content-Length"]; len(line) > 0 && w.status != http.StatusNoContent {
		if n, err := strconv.ParseInt(line[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
	if httpfield.HasItem(h["Connection"], "close") {
		w.close = true
	}
	w.announceTrailers()
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, http.TrailerPrefix):
			w.prefixed = true
		case !isFraming(name) && !w.isTrailer(name):
			out.buf = appendField(out.buf, name, values)
		}
	}
	if h["Date"] == nil {
		out.buf = append(out.buf, date()...)
	}
	switch {
	case w.length >= 0:
		out.buf = append(out.buf, "Content-Length: "...)
		out.buf = strconv.AppendInt(out.buf, w.length, 10)
		out.buf = append(out.buf, "\r\n"...)
	case w.noBody:
	case w.req.ProtoMinor == 0:
		w.close = true // the body ends with the connection
	}
	w.close = w.close || !w.conn.body.arrived() || w.conn.server.draining.Load() || w.conn.server.closing.Load()
	if h["Upgrade"] != nil { // of a 426, say (RFC 9110, section 7.8)
		out.buf = appendField(out.buf, "Upgrade", h["Upgrade"])
		out.buf = append(out.buf, "Connection: Upgrade\r\n"...)
	}
	switch {
	case w.close:
		out.buf = append(out.buf, "Connection: close\r\n"...)
	case w.req.ProtoMinor == 0:
		out.buf = append(out.buf, "Connection: keep-alive\r\n"...)
	}
	if !w.open() {
		out.buf = append(out.buf, "\r\n"...)
	}
}

// open reports whether the framing of the body isn't decided yet.
func (w *Response) open() bool {
	return !w.chunked && w.length < 0 && !w.noBody && w.req.ProtoMinor > 0
}

// chunk decides that the body is chunked.
func (w *Response) chunk() {
	out := &w.conn.out
	w.chunked = true
	out.buf = append(out.buf, "Transfer-Encoding: chunked\r\n"...)
	if len(w.trailers) > 0 {
		out.buf = appendField(out.buf, "Trailer", []string{strings.Join(w.trailers, ", ")})
	}
	out.buf = append(out.buf, "\r\n"...)
}

// Write implements http.ResponseWriter.
func (w *Response) Write(p []byte) (int, error) {
	if w.finished {
		return 0, errFinished
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.noBody && w.req.Method == http.MethodHead:
		return len(p), nil
	case w.noBody:
		return 0, http.ErrBodyNotAllowed
	}
	out := &w.conn.out
	if w.open() {
		if len(out.body)+len(p) <= gatherSize {
			out.body = append(out.body, p...)
			w.size += int64(len(p))
			return len(p), out.err
		}
		w.chunk()
	}
	if w.length >= 0 && w.size+int64(len(p)) > w.length {
		n, err := w.Write(p[:w.length-w.size])
		if err == nil {
			err = http.ErrContentLength
		}
		return n, err
	}
	if len(p) == 0 {
		return 0, out.err
	}
	w.size += int64(len(p))
	if !w.chunked && w.size == w.length && len(out.buf)+len(p) <= cap(out.buf) {
		out.buf = append(out.buf, p...) // Finish is next
		return len(p), out.err
	}
	w.headSent = true
	if err := w.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send writes a piece of the body.
func (w *Response) send(p []byte) error {
	out := &w.conn.out
	if !w.chunked {
		return out.write(p)
	}
	if len(out.body) > 0 {
		out.buf = appendChunk(out.buf, out.body)
		out.body = out.body[:0]
	}
	if len(p) == 0 {
		return out.flush()
	}
	const around = len("fffffffffffffff\r\n\r\n")
	if len(out.buf)+len(p)+around <= cap(out.buf) {
		out.buf = appendChunk(out.buf, p)
		return out.flush()
	}
	out.buf = strconv.AppendInt(out.buf, int64(len(p)), 16)
	out.buf = append(out.buf, "\r\n"...)
	if err := out.write(p); err != nil {
		return err
	}
	out.buf = append(out.buf, "\r\n"...) // goes with what comes next
	return nil
}

func appendChunk(dst, p []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(p)), 16)
	dst = append(dst, "\r\n"...)
	dst = append(dst, p...)
	return append(dst, "\r\n"...)
}

// FlushError sends what was written so far.
func (w *Response) FlushError() error {
	if w.finished {
		return w.conn.out.err // all of it has been sent
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.open() {
		w.chunk()
	}
	w.headSent = true
	if w.chunked {
		return w.send(nil)
	}
	return w.conn.out.flush()
}

// sendAtOnce is how many bytes of a file are sent within one deadline. A client that takes
// a part of them in time gets more time for the rest.
const sendAtOnce = 128 << 10

// ReadFrom implements io.ReaderFrom. The kernel sends a file to a socket
// without TLS.
func (w *Response) ReadFrom(r io.Reader) (total int64, err error) {
	if w.finished {
		return 0, errFinished
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	out := &w.conn.out
	socket, ok := w.conn.net.(io.ReaderFrom)
	if !ok || w.noBody || w.length < 0 || w.length-w.size <= int64(cap(out.buf)-len(out.buf)) {
		buf := copyBuffers.Get().(*[joinSize]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(struct{ io.Writer }{w}, r, buf[:])
	}
	w.headSent = true
	if err := out.flush(); err != nil {
		return 0, err
	}
	// Package net looks for a file below one LimitedReader, not below two.
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: w.length}
	}
	for w.size < w.length {
		out.arm()
		size := min(sendAtOnce, w.length-w.size, limited.N)
		step := io.LimitedReader{R: limited.R, N: size}
		n, err := socket.ReadFrom(&step)
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) && unread(limited.R, size-step.N-n) == nil {
			out.armed, err = time.Time{}, nil // as in output.put
		}
		limited.N -= n
		w.size += n
		total += n
		if err != nil {
			return total, err
		}
		if n == 0 {
			return total, nil // shorter than its Content-Length: Finish returns an error
		}
	}
	return total, nil
}

// unread takes back n bytes that were read from a file, and not written.
func unread(r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	file, ok := r.(io.Seeker)
	if !ok {
		return errors.ErrUnsupported
	}
	_, err := file.Seek(-n, io.SeekCurrent)
	return err
}

var copyBuffers = sync.Pool{New: func() any { return new([joinSize]byte) }}

// Finish completes the response. The server calls it after the handler, too.
func (w *Response) Finish() error {
	if w.finished {
		return w.conn.out.err
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.finished = true
	out := &w.conn.out
	defer out.release()
	if w.open() {
		if w.prefixed || len(w.trailers) > 0 {
			w.chunk()
		} else {
			out.buf = append(out.buf, "Content-Length: "...)
			out.buf = strconv.AppendInt(out.buf, int64(len(out.body)), 10)
			out.buf = append(out.buf, "\r\n\r\n"...)
			w.headSent = true
			return out.write(out.body)
		}
	}
	w.headSent = true
	if w.chunked {
		if len(out.body) > 0 {
			out.buf = appendChunk(out.buf, out.body)
		}
		out.buf = append(out.buf, "0\r\n"...)
		out.buf = w.appendTrailers(out.buf)
		out.buf = append(out.buf, "\r\n"...)
	}
	if err := out.flush(); err != nil {
		return err
	}
	if !w.noBody && w.size < w.length {
		out.err = ErrShort
	}
	return out.err
}
