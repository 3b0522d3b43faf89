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

// header is the PROXY header of a connection, once it has been read.
type header struct {
	tcp  *net.TCPConn
	slot *slot // the connection's; nil: it is not counted
	log  *slog.Logger

	once   sync.Once
	client net.Addr // nil: the header has none
	err    error

	mu       sync.Mutex
	pending  bool
	due      time.Time // the deadline of the header
	deadline time.Time // for reading, as set from outside
}

func newHeader(tcp *net.TCPConn, slot *slot, due time.Time, log *slog.Logger) *header {
	h := &header{tcp: tcp, slot: slot, log: log, pending: true, due: due}
	h.setReadDeadline(time.Time{})
	return h
}

// setReadDeadline sets the deadline for reading. Until the header has come, its own
// deadline applies as well.
func (h *header) setReadDeadline(t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = t
	if h.pending && (t.IsZero() || h.due.Before(t)) {
		t = h.due
	}
	return h.tcp.SetReadDeadline(t)
}

// read reads the header when it is first called, and returns its error.
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
		if h.slot != nil && client.IsValid() && !h.slot.move(client.Addr()) {
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
	h.log.Warn("a proxy's connection is refused: check that the proxy sends the PROXY protocol", "proxy", proxy, "error", h.err)
}
