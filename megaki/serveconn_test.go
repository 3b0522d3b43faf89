package megaki

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestServeConnUntilItEnds: a connection that its caller has accepted is counted until
// it ends, while it rests too, and then the caller is called once.
func TestServeConnUntilItEnds(t *testing.T) {
	s := &Server{rest: 50 * time.Millisecond}
	start(t, s) // for its keys and handler, and its end
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var ended atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(conn, func() { ended.Add(1) })
		}
	}()
	p := established(t, l.Addr().String())
	p.echoes("x")
	eventually(t, "the connection rests", func() bool {
		s.lot.mu.Lock()
		defer s.lot.mu.Unlock()
		return len(s.lot.resting) == 1
	})
	if live := s.LiveSessions(10); s.Stats().Parked != 1 || s.Connections() != 1 || len(live) != 1 || live[0].Messages != 1 || ended.Load() != 0 {
		t.Errorf("%d connections, sessions %+v, %d have ended", s.Connections(), live, ended.Load())
	}
	p.echoes("y")
	p.Close()
	eventually(t, "its end is reported", func() bool { return ended.Load() == 1 && s.Connections() == 0 })
}
