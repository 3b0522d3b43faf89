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
