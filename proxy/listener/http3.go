package listener

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Server serves the HTTP/3 connections of an HTTPS listener by the settings of one
// configuration. Its methods take nil for a listener without HTTP/3.
type http3Server struct {
	listener *httpsListener
	server   *http3.Server

	mu       sync.Mutex
	conns    map[*http3Conn]struct{}
	draining bool
	ended    chan struct{} // closed once it drains and no connection is left
}

// http3Conn is a connection, and the number of its requests in flight.
type http3Conn struct {
	*quic.Conn
	requests int // guarded by http3Server.mu
}

func newHTTP3(l *httpsListener) *http3Server {
	s := &http3Server{listener: l, conns: make(map[*http3Conn]struct{}), ended: make(chan struct{})}
	s.server = &http3.Server{
		Handler:        http.HandlerFunc(s.serveRequest),
		MaxHeaderBytes: int(l.cfg.MaxHeader),
		IdleTimeout:    l.cfg.IdleTimeout,
		ConnContext:    s.connContext,
		Logger:         l.log,
	}
	return s
}

// quicConfig returns the settings of QUIC. There is no 0-RTT, whose requests an attacker
// could repeat.
func (s *http3Server) quicConfig() *quic.Config {
	c := s.listener.cfg
	return &quic.Config{
		HandshakeIdleTimeout:           c.HeaderTimeout,
		MaxIdleTimeout:                 quicSilence,
		KeepAlivePeriod:                quicSilence / 3,
		MaxIncomingStreams:             int64(c.MaxStreams),
		MaxIncomingUniStreams:          maxUniStreams,
		InitialStreamReceiveWindow:     maxStreamBuffer / 4,
		MaxStreamReceiveWindow:         maxStreamBuffer,
		InitialConnectionReceiveWindow: maxConnBuffer / 2,
		MaxConnectionReceiveWindow:     maxConnBuffer,
	}
}

const (
	// quicSilence is how long nothing may come from a client. It is asked for a sign of
	// life before, so that one that waits for a response isn't taken for dead.
	quicSilence = 30 * time.Second
	// maxUniStreams is for the control stream of a client, those of QPACK, and one more.
	maxUniStreams = 8
)

// tlsConfig returns the configuration of a handshake.
func (s *http3Server) tlsConfig(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := s.listener.tls
	if c.GetConfigForClient != nil {
		other, err := c.GetConfigForClient(hello)
		if err != nil {
			return nil, err
		}
		if other != nil {
			c = other
		}
	}
	c = c.Clone()
	c.NextProtos, c.MinVersion, c.GetConfigForClient = []string{http3.NextProtoH3}, tls.VersionTLS13, nil
	return c, nil
}

func (s *http3Server) connContext(ctx context.Context, c *quic.Conn) context.Context {
	l := s.listener
	p := peer{local: addrPort(c.LocalAddr()), remote: addrPort(c.RemoteAddr())}
	if l.clients != nil {
		state := c.ConnectionState().TLS
		l.identify(&p, &state)
	}
	return context.WithValue(ctx, http2Key{}, &http2Conn{p, l.newUnread(p.remote)})
}

// serve serves a connection until it is closed.
func (s *http3Server) serve(qc *quic.Conn) {
	c := &http3Conn{Conn: qc}
	if !s.track(c) {
		c.close(http3.ErrCodeNoError)
		return
	}
	defer s.untrack(c)
	defer c.close(http3.ErrCodeNoError)
	raw, err := s.server.NewRawServerConn(qc)
	if err != nil {
		return
	}
	heads := headsOf(qc.Context())
	var streams sync.WaitGroup
	defer streams.Wait()
	streams.Go(func() {
		for {
			str, err := qc.AcceptUniStream(qc.Context())
			if err != nil {
				return
			}
			streams.Go(func() {
				raw.HandleUnidirectionalStream(str)
				io.Copy(io.Discard, str) // those of QPACK, which quic-go leaves unread in memory
			})
		}
	})
	for {
		str, err := qc.AcceptStream(qc.Context())
		if err != nil {
			return
		}
		switch begun, excess := s.begin(c); {
		case excess: // it opens and resets streams faster than their handlers end
			c.close(http3.ErrCodeExcessiveLoad)
			return
		case !begun:
			rejectStream(str)
		default:
			str.SetReadDeadline(time.Now().Add(s.listener.cfg.HeaderTimeout))
			streams.Go(func() {
				defer s.end(c)
				defer heads.leave(str.StreamID())
				if !heads.admit(str, int64(s.listener.cfg.MaxHeader)) {
					rejectStream(str)
					return
				}
				raw.HandleRequestStream(str)
			})
		}
	}
}

// rejectStream resets a stream, so that the client may send its request once more.
func rejectStream(str *quic.Stream) {
	code := quic.StreamErrorCode(http3.ErrCodeRequestRejected)
	str.CancelRead(code)
	str.CancelWrite(code)
}

func (c *http3Conn) close(code http3.ErrCode) { c.CloseWithError(quic.ApplicationErrorCode(code), "") }

// serveRequest handles a request.
func (s *http3Server) serveRequest(w http.ResponseWriter, h *http.Request) {
	control := http.NewResponseController(w)
	stream, known := h.Body.(interface{ StreamID() quic.StreamID })
	if h.ContentLength < 0 && bodyIsRare(h.Method) && !awaitsContinue(h) {
		h.Body = peekBody(h.Body) // within the header's time
		if h.Body == http.NoBody {
			h.ContentLength = 0
		}
	}
	control.SetReadDeadline(time.Time{})
	if known { // else when it has ended
		headsOf(h.Context()).leave(stream.StreamID()) // serveStream counts the header
	}
	s.listener.serveStream(w, h, true)
}

// awaitsContinue reports whether a client waits for 100 (Continue) before it sends the
// body (RFC 9110, section 10.1.1).
func awaitsContinue(h *http.Request) bool {
	return strings.EqualFold(h.Header.Get("Expect"), "100-continue")
}

// bodyIsRare reports whether requests of a method seldom have a body. HTTP/3 shows only
// at the end of a stream that there is none, and other servers would get an empty body
// of unknown length.
func bodyIsRare(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// peekBody waits for the first byte of a body, and returns http.NoBody if there is none.
func peekBody(body io.ReadCloser) io.ReadCloser {
	first := make([]byte, 1)
	n, err := body.Read(first)
	switch {
	case n == 0 && err == io.EOF:
		return http.NoBody
	case n == 0:
		return body // its reader meets the error
	}
	return &peeked{body, first}
}

// peeked is a body whose first byte has been read.
type peeked struct {
	io.ReadCloser
	first []byte
}

// Read implements io.Reader.
func (p *peeked) Read(buf []byte) (int, error) {
	if len(p.first) > 0 && len(buf) > 0 {
		n := copy(buf, p.first)
		p.first = nil
		return n, nil
	}
	return p.ReadCloser.Read(buf)
}

func (s *http3Server) track(c *http3Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *http3Server) untrack(c *http3Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.checkEnded()
}

// checkEnded closes ended if it is time. The caller holds the mutex.
func (s *http3Server) checkEnded() {
	if !s.draining || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
}

// begin counts a request, and reports false if the server drains. excess reports whether
// the connection has more requests in flight than it may have streams.
func (s *http3Server) begin(c *http3Conn) (begun, excess bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false, false
	}
	if c.requests >= 2*s.listener.cfg.MaxStreams {
		return false, true
	}
	c.requests++
	return true, false
}

func (s *http3Server) end(c *http3Conn) {
	s.mu.Lock()
	c.requests--
	idle := s.draining && c.requests == 0
	s.mu.Unlock()
	if idle {
		c.finish()
	}
}

// finish closes a connection once what was written has been sent: QUIC drops at once
// what waits for it.
func (c *http3Conn) finish() {
	go func() {
		select {
		case <-time.After(finishTime):
		case <-c.Context().Done():
		}
		c.close(http3.ErrCodeNoError)
	}()
}

// finishTime is for the last response of a connection to reach its client.
const finishTime = 500 * time.Millisecond

// drain refuses further requests, and closes each connection once it has none in flight.
func (s *http3Server) drain() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	for c := range s.conns {
		if c.requests == 0 {
			c.finish()
		}
	}
	s.checkEnded()
}

// shutdown is drain, and closes what is left when ctx ends.
func (s *http3Server) shutdown(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.drain()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		go c.close(http3.ErrCodeNoError)
	}
	s.mu.Unlock()
	<-s.ended
	return ctx.Err()
}
