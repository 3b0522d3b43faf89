package listener

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"mkd/proxy/http1"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
	"mkd/share"
)

// http2Conn is what the requests of an HTTP/2 connection have in common.
type http2Conn struct {
	client        *share.Client
	local, remote netip.AddrPort
}

type http2Key struct{}

func (l *httpsListener) http2Context(ctx context.Context, c net.Conn) context.Context {
	h := &http2Conn{local: addrPort(c.LocalAddr()), remote: addrPort(c.RemoteAddr())}
	h.client = l.join(h.remote)
	context.AfterFunc(ctx, h.client.Leave) // ctx ends with the connection
	return context.WithValue(ctx, http2Key{}, h)
}

// serveHTTP2 handles a request of an HTTP/2 connection.
func (l *httpsListener) serveHTTP2(w http.ResponseWriter, h *http.Request) {
	l.streams.Add(1)
	defer l.streams.Done()
	conn := h.Context().Value(http2Key{}).(*http2Conn)
	control := http.NewResponseController(w)
	resp := &http2Response{ResponseWriter: w, control: control, timeout: l.cfg.WriteTimeout, head: h.Method == http.MethodHead}
	r := new(request.Request)
	h = h.WithContext(r.Open(h.Context(), l.daemon.Base))
	if h.Body == http.NoBody || h.ContentLength == 0 {
		h.Body = nil
	} else {
		h.Body = &http2Body{ReadCloser: h.Body, control: control, pace: http1.Pace{Timeout: l.cfg.BodyTimeout, MinRate: int64(l.cfg.MinRate)}}
	}
	r.Begin(h, l.daemon.Enter(l.name))
	r.Local, r.Remote, r.Client = conn.local, conn.remote, conn.remote
	if l.handle(resp, r, conn.client, l.refusedHTTP2(h)) != nil {
		panic(http.ErrAbortHandler) // an incomplete response must not look complete
	}
}

// refusedHTTP2 checks what package httpmsg checks in the head of an HTTP/1
// request, and net/http doesn't.
func (l *httpsListener) refusedHTTP2(h *http.Request) error {
	fields := 0
	for _, values := range h.Header {
		fields += len(values)
	}
	if fields > l.cfg.MaxFields {
		return &httpmsg.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the header has too many fields"}
	}
	return nil
}

// http2Body is the body of an HTTP/2 request, under the listener's deadlines.
type http2Body struct {
	io.ReadCloser
	control  *http.ResponseController
	pace     http1.Pace
	received int64
	waited   time.Duration
	ended    atomic.Bool
}

// Read implements io.Reader.
func (b *http2Body) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return b.ReadCloser.Read(p)
	}
	began := time.Now()
	b.control.SetReadDeadline(began.Add(b.pace.Patience(b.received, b.waited)))
	n, err := b.ReadCloser.Read(p)
	b.received += int64(n)
	b.waited += time.Since(began)
	if err == io.EOF {
		b.ended.Store(true)
		b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// http2Response is the response to an HTTP/2 request.
type http2Response struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration // how long the client may take no byte
	head    bool          // the response has no body
	armed   time.Time     // when the deadline was set
	change  func(http.Header)
	status  int
	size    int64
}

// Status implements request.Response.
func (w *http2Response) Status() int { return w.status }

// Size implements request.Response.
func (w *http2Response) Size() int64 { return w.size }

// ChangeHeader implements request.Response.
func (w *http2Response) ChangeHeader(f func(http.Header)) { w.change = f }

// Finish implements request.Response. The server writes the end after it.
func (w *http2Response) Finish() error {
	w.armed = time.Time{}
	w.arm()
	return nil
}

// Reset implements request.Response: what was written has been sent.
func (w *http2Response) Reset() bool {
	if w.status != 0 {
		return false
	}
	clear(w.Header())
	return true
}

// WriteHeader implements http.ResponseWriter.
func (w *http2Response) WriteHeader(status int) {
	w.arm()
	if status >= 200 {
		if w.status != 0 {
			return
		}
		w.status = status
		if w.change != nil {
			w.change(w.Header())
		}
		if h := w.Header(); h["Content-Type"] == nil {
			h["Content-Type"] = nil // the type isn't guessed
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *http2Response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.arm()
	n, err := w.ResponseWriter.Write(p)
	if !w.head {
		w.size += int64(n)
	}
	return n, err
}

// FlushError is for http.ResponseController. Nothing waits to be written
// afterwards, so there is no deadline then.
func (w *http2Response) FlushError() error {
	w.arm()
	err := w.control.Flush()
	w.armed = time.Time{}
	w.control.SetWriteDeadline(time.Time{})
	return err
}

// arm moves the deadline on. It isn't worth a timer for every piece.
func (w *http2Response) arm() {
	if now := time.Now(); now.Sub(w.armed) > w.timeout/8 {
		w.armed = now
		w.control.SetWriteDeadline(now.Add(w.timeout + w.timeout/8))
	}
}

// Unwrap is for http.ResponseController.
func (w *http2Response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
