package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// TestNoStreams dials a server that takes no requests at all, which is known before the
// first one: the request fails, and connections aren't dialled over and over.
func TestNoStreams(t *testing.T) {
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		http2.NewFramer(c, c).WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0})
		io.Copy(io.Discard, c)
	})
	c := &HTTP2{Address: s.Address}
	c.once.Do(c.init)
	t.Cleanup(c.CloseIdleConnections)
	dials, dial := 0, c.conns.dial
	c.conns.dial = func() (*http.ClientConn, error) {
		dials++
		cc, err := dial()
		for end := time.Now().Add(20 * time.Second); err == nil && cc.Available() > 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		return cc, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, _, err := c.conns.take(ctx); !errors.Is(err, errNoStreams) || dials != 1 {
		t.Errorf("%v after %d dials", err, dials)
	}
}

// TestRetiredBeforeTheRequest: a connection may end after it was taken. That is no fault of
// the server, and the request can be sent on another one.
func TestRetiredBeforeTheRequest(t *testing.T) {
	retire := make(chan bool)
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		go io.Copy(io.Discard, c)
		<-retire
		f.WriteGoAway(0, http2.ErrCodeNo, nil)
		<-retire
	})
	c := &HTTP2{Address: s.Address}
	c.once.Do(c.init)
	t.Cleanup(c.CloseIdleConnections)
	taken, _, err := c.conns.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	retire <- true
	fakeserver.Eventually(t, "the GOAWAY has come", func() bool { return taken.Reserve() != nil })
	st := &stream{t: c, connected: true}
	st.ctx, st.cancel = context.WithCancelCause(t.Context())
	_, err = taken.RoundTrip(st.request(st.ctx, http2Request(t, "POST", nil)))
	if e := http2Failure(t, st.fail("sending the request", err)); !errors.Is(e, roundtrip.ErrRetired) || !e.Stale() || e.Sent {
		t.Errorf("%+v", e)
	}
	close(retire)
}

// TestNewestConnection: the newest one takes a request, since the server ends it last.
func TestNewestConnection(t *testing.T) {
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		http2.NewFramer(c, c).WriteSettings()
		io.Copy(io.Discard, c)
	})
	c := &HTTP2{Address: s.Address}
	c.once.Do(c.init)
	t.Cleanup(c.CloseIdleConnections)
	for n := range 3 {
		d := &http2Dial{done: make(chan struct{})}
		c.conns.add(d)
		if d.err != nil {
			t.Fatal(d.err)
		}
		taken, reused, err := c.conns.take(t.Context())
		if err != nil || reused || taken != c.conns.open[n] {
			t.Fatalf("after %d dials: reused: %t, %v", n+1, reused, err)
		}
		taken.Release()
	}
}
