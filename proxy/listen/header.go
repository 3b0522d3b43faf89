package listen

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// header is the header of a connection: what it says, once it has been read.
type header struct {
	tcp   *net.TCPConn
	place *place // the connection's; nil: it is not counted
	log   *slog.Logger

	once   sync.Once
	client net.Addr // nil: the header tells none
	err    error

	mu       sync.Mutex
	pending  bool
	due      time.Time // when the header has to be there
	deadline time.Time // for reading, as set from outside
}

func newHeader(tcp *net.TCPConn, place *place, due time.Time, log *slog.Logger) *header {
	h := &header{tcp: tcp, place: place, log: log, pending: true, due: due}
	h.setReadDeadline(time.Time{})
	return h
}

// setReadDeadline sets the deadline for reading. Until the header is there, its
// own holds as well.
func (h *header) setReadDeadline(t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = t
	if h.pending && (t.IsZero() || h.due.Before(t)) {
		t = h.due
	}
	return h.tcp.SetReadDeadline(t)
}

// read reads the header, the first time, and returns what is wrong with it.
func (h *header) read() error {
	h.once.Do(func() {
		client, err := readHeader(h.tcp)
		if client.IsValid() {
			h.client = net.TCPAddrFromAddrPort(client)
		}
		if err != nil {
			h.fail(err)
			return
		}
		if h.place != nil && client.IsValid() && !h.place.move(client.Addr()) {
			h.err = errShare
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.pending = false
		if err := h.tcp.SetReadDeadline(h.deadline); err != nil {
			h.fail(err)
		}
	})
	return h.err
}

func (h *header) fail(err error) {
	h.err = fmt.Errorf("reading the PROXY header: %w", err)
	proxy := h.tcp.RemoteAddr()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		h.log.Debug("a proxy's connection ended before its PROXY header", "proxy", proxy)
		return
	}
	h.log.Warn("a proxy's connection is refused: is the proxy set to send the PROXY protocol?", "proxy", proxy, "error", h.err)
}
