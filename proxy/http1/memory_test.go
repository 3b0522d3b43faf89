package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// counted is a Handler that counts the memory it is asked for.
type counted struct {
	handlerFunc
	limit  int64
	held   atomic.Int64
	most   atomic.Int64
	closed atomic.Int32
}

func (h *counted) Context(parent context.Context) context.Context { return parent }

func (h *counted) TakeMemory(n int64) bool {
	if h.held.Load()+n > h.limit {
		return false
	}
	h.most.Store(max(h.most.Load(), h.held.Add(n)))
	return true
}

func (h *counted) GiveMemory(n int64) { h.held.Add(-n) }

func (h *counted) Close() { h.closed.Add(1) }

// TestMemoryOfLongHeads: what a long head takes is given back after the response, and when
// the connection ends in the middle of the head.
func TestMemoryOfLongHeads(t *testing.T) {
	const begin = "GET / HTTP/1.1\r\nHost: a\r\nX: "
	long := begin + strings.Repeat("x", 5*readSize)
	for _, c := range []struct {
		name, head string
		limit      int64
		status     int // 0: no response
		taken      bool
	}{
		{"short", begin + "\r\n\r\n", 0, 200, false},
		{"long", long + "\r\n\r\n", 1 << 20, 200, true},
		{"no memory", long + "\r\n\r\n", 0, 503, false},
		{"no memory for all of it", long + "\r\n\r\n", 4 * readSize, 503, true},
		{"broken off", long, 1 << 20, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &counted{handlerFunc: echo, limit: c.limit}
			_, addr := start(t, nil, func(s *Server) { s.NewHandler = func(net.Conn) Handler { return h } })
			conn := dial(t, addr)
			io.WriteString(conn, c.head)
			if c.status > 0 {
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || resp.StatusCode != c.status || resp.Close != (c.status == 503) {
					t.Fatalf("%+v, %v", resp, err)
				}
				if c.status == 200 {
					await(t, "the memory is given back while the connection stays", func() bool { return h.held.Load() == 0 })
					if h.closed.Load() > 0 {
						t.Error("the connection has ended")
					}
				}
			}
			conn.(*net.TCPConn).CloseWrite()
			await(t, "the connection has ended", func() bool { return h.closed.Load() == 1 })
			if held := h.held.Load(); held != 0 {
				t.Errorf("%d bytes are still held", held)
			}
			if most := h.most.Load(); (most > 0) != c.taken || c.taken && c.limit == 1<<20 && most < int64(len(long)) {
				t.Errorf("%d bytes were taken for a head of %d", most, len(c.head))
			}
		})
	}
}
