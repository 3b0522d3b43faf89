package listener

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mkd/proxy/http1"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

type http2Key struct{}

// http2Conn is what the requests of an HTTP/2 or HTTP/3 connection have in common.
type http2Conn struct {
	peer
	unread *unread
}

func (l *httpsListener) http2Context(ctx context.Context, c net.Conn) context.Context {
	p := l.peerOf(c)
	return context.WithValue(ctx, http2Key{}, &http2Conn{p, l.newUnread(p.remote)})
}

// serveHTTP2 handles a request of an HTTP/2 connection.
func (l *httpsListener) serveHTTP2(w http.ResponseWriter, h *http.Request) {
	l.streams.Add(1)
	defer l.streams.Done()
	l.serveStream(w, h, false)
}

// serveStream handles a request that has a stream of HTTP/2 or HTTP/3 for itself.
func (l *httpsListener) serveStream(w http.ResponseWriter, h *http.Request, isHTTP3 bool) {
	conn := h.Context().Value(http2Key{}).(*http2Conn)
	client := l.join(conn.remote) // for the request: it may outlive its connection
	counted := client.Take(1, 0)
	giveHead, giveBody := func() {}, func() {}
	defer afterStream(w, func() {
		giveBody()
		giveHead()
		if counted {
			client.Give(1)
		}
		client.Leave()
	})
	control := http.NewResponseController(w)
	resp := &http2Response{ResponseWriter: w, control: control, timeout: l.cfg.WriteTimeout, head: h.Method == http.MethodHead, bare: !counted, whole: isHTTP3, altSvc: l.altSvc()}
	r := new(request.Request)
	h = h.WithContext(r.Open(h.Context(), l.daemon.Base))
	refused := l.refusedHTTP2(h)
	if release, ok := conn.unread.takeHead(h); ok {
		giveHead = release
	} else if refused == nil {
		refused = errHTTPMemory
	}
	var body *http2Body
	if h.Body == http.NoBody || h.ContentLength == 0 {
		h.Body = nil
	} else {
		body = &http2Body{body: h.Body, control: control, pace: http1.Pace{Timeout: l.cfg.BodyTimeout, MinRate: int64(l.cfg.MinRate)}}
		h.Body, resp.body = body, body
		if isHTTP3 && awaitsContinue(h) { // net/http sends it by itself
			resp.own, body.ask = make(http.Header), resp.sendContinue
		}
		if release, ok := conn.unread.takeBody(h.ContentLength); ok {
			giveBody = release
		} else if refused == nil {
			refused = errHTTPMemory
		}
	}
	r.Begin(h, l.daemon.Enter())
	// A call of gRPC may end with its header, which no end could be sent with after a
	// flush; its clients know that the rest isn't wanted.
	grpc := strings.HasPrefix(h.Header.Get("Content-Type"), "application/grpc")
	linger := func() {
		if !isHTTP3 && body != nil && !body.ended.Load() && !grpc {
			resp.FlushError()
			body.linger(l.stopping)
		}
	}
	if l.handle(resp, r, &conn.peer, counted, refused, linger) != nil {
		panic(http.ErrAbortHandler) // an incomplete response must not look complete
	}
}

// afterStream calls f when the stream of a response has ended. In HTTP/2 that is later than
// its handler: what is left of a response, a short one as a whole, then waits for the client.
func afterStream(w http.ResponseWriter, f func()) {
	//lint:ignore SA1019 the context of a request ends with its handler
	notifier, ok := w.(http.CloseNotifier)
	if !ok {
		f()
		return
	}
	closed := notifier.CloseNotify()
	go func() {
		<-closed
		f()
	}()
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
	return httpmsg.CheckStream(h)
}

// streamIdle is how long a client may send nothing in a stream whose response has
// begun: a client of gRPC mostly listens then. It is that of other tunnels.
const streamIdle = time.Hour

// http2Body is the body of an HTTP/2 request, under the listener's deadlines.
type http2Body struct {
	body    io.ReadCloser
	control *http.ResponseController
	pace    http1.Pace
	closed  atomic.Bool // by the handler
	ended   atomic.Bool
	both    atomic.Bool // the response has begun: messages go both ways

	reading  sync.Mutex // held by Read
	ask      func()     // sends 100 (Continue) before the first Read; nil: nobody waits for it, or it is sent without us
	received int64
	waited   time.Duration
	err      error // of a Read that failed
}

// Read implements io.Reader.
func (b *http2Body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.ended.Load() {
		return 0, io.EOF
	}
	if b.ask != nil {
		b.ask()
		b.ask = nil
	}
	began := time.Now()
	until := began.Add(streamIdle)
	if !b.both.Load() {
		until = began.Add(b.pace.Patience(b.received, b.waited))
	}
	n, err := b.read(p, until)
	b.waited += time.Since(began)
	return n, err
}

// goBothWays is called when the response begins. The client may take its time with the
// rest of the body from then on.
func (b *http2Body) goBothWays() {
	if b != nil && !b.both.Swap(true) && !b.ended.Load() {
		b.control.SetReadDeadline(time.Now().Add(streamIdle))
	}
}

func (b *http2Body) read(p []byte, until time.Time) (int, error) {
	both := b.both.Load()
	b.control.SetReadDeadline(until)
	if !both && b.both.Load() { // the response began at this moment
		b.control.SetReadDeadline(time.Now().Add(streamIdle))
	}
	n, err := b.body.Read(p)
	b.received += int64(n)
	switch {
	case err == io.EOF:
		b.ended.Store(true)
		b.control.SetReadDeadline(time.Time{})
	case err != nil:
		b.err = err
	}
	return n, err
}

// Close implements io.Closer. A Read in progress returns; otherwise the rest of
// the body is left to linger.
func (b *http2Body) Close() error {
	b.closed.Store(true)
	if !b.reading.TryLock() {
		return b.body.Close()
	}
	b.reading.Unlock()
	return nil
}

// linger reads what the client still sends after its response, within the bounds
// of package http1 and until ctx ends. A stream that was reset then would be
// right (RFC 9113, section 8.1), but some clients, as curl 7.88, take the reset for
// a failure and lose the response.
func (b *http2Body) linger(ctx context.Context) {
	b.reading.Lock()
	defer b.reading.Unlock()
	buf := make([]byte, 4<<10)
	until := time.Now().Add(http1.LingerTime)
	for left := http1.LingerSize; left > 0 && b.err == nil && !b.ended.Load() && ctx.Err() == nil && time.Now().Before(until); {
		n, _ := b.read(buf, time.Now().Add(http1.LingerSilence))
		left -= n
	}
}

// http2Response is the response to an HTTP/2 request.
type http2Response struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration // how long the client may take no byte
	head    bool          // the response has no body
	bare    bool          // its body isn't sent: nobody counts how many of them wait for their clients
	whole   bool          // Finish waits until the client has nearly all of it
	armed   time.Time     // when the deadline was set
	change  func(http.Header)
	altSvc  []string // the field Alt-Svc; nil: none of the listener's own
	size    int64
	body    *http2Body // of the request; nil: none

	mu     sync.Mutex // guards status, and the header of ResponseWriter, against sendContinue
	status int
	own    http.Header // the handler's, if 100 (Continue) may be sent while it changes; nil: that of ResponseWriter
}

// Header implements http.ResponseWriter.
func (w *http2Response) Header() http.Header {
	if w.own != nil {
		return w.own
	}
	return w.ResponseWriter.Header()
}

// publish copies the handler's own header to ResponseWriter.
func (w *http2Response) publish() { maps.Copy(w.ResponseWriter.Header(), w.own) }

// sendContinue shows the client that its body is awaited (RFC 9110, section 10.1.1),
// unless the response has begun.
func (w *http2Response) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.arm()
		w.ResponseWriter.WriteHeader(http.StatusContinue)
	}
}

// Status implements request.Response.
func (w *http2Response) Status() int { return w.status }

// Size implements request.Response.
func (w *http2Response) Size() int64 { return w.size }

// ChangeHeader implements request.Response.
func (w *http2Response) ChangeHeader(f func(http.Header)) { w.change = f }

// Finish implements request.Response. The server writes the end after it.
func (w *http2Response) Finish() error {
	w.publish() // trailers
	w.armed = time.Time{}
	w.arm()
	if w.whole && w.size > packet {
		return w.control.Flush()
	}
	return nil
}

// packet is how much of a response quic-go takes however slow the client is, in bytes.
const packet = 1 << 10

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
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm()
	if status >= 200 {
		if w.status != 0 {
			return
		}
		w.status = status
		w.body.goBothWays()
		if w.altSvc != nil {
			w.Header()["Alt-Svc"] = w.altSvc
		}
		if w.change != nil {
			w.change(w.Header())
		}
		if h := w.Header(); h["Content-Type"] == nil {
			h["Content-Type"] = nil // the type isn't guessed
		}
		if w.bare {
			delete(w.Header(), "Content-Length")
		}
		w.publish()
		w.ResponseWriter.WriteHeader(status)
		return
	}
	// When the client resets the stream, net/http may still be reading the header that it
	// was given, while the handler goes on to change it. It makes a copy of one with this
	// field, which it doesn't send.
	w.Header()["Transfer-Encoding"] = nil
	w.publish()
	w.ResponseWriter.WriteHeader(status)
	delete(w.Header(), "Transfer-Encoding")
	if w.own != nil {
		clear(w.ResponseWriter.Header())
	}
}

// Write implements http.ResponseWriter.
func (w *http2Response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.bare {
		return len(p), nil
	}
	for written := 0; ; {
		w.arm()
		n, err := w.ResponseWriter.Write(p[written:min(len(p), written+maxPiece)])
		if !w.head {
			w.size += int64(n)
		}
		if written += n; err != nil || written >= len(p) {
			return written, err
		}
	}
}

// maxPiece is how many bytes are written within one deadline.
const maxPiece = 32 << 10

// FlushError is for http.ResponseController. Nothing waits to be written
// afterwards, so there is no deadline then.
func (w *http2Response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
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
