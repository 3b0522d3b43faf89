package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mkd/proxy/request"
)

// tunnelIdle is how long nothing may pass through a tunnel. What runs in one, as
// WebSocket, sends something more often to keep itself alive.
const tunnelIdle = time.Hour

// tunnel joins the connection of a client with that of the backend after both
// have changed to another protocol (RFC 9110, section 7.8).
func tunnel(w request.Response, r *request.Request, resp *http.Response) error {
	origin, ok := resp.Body.(io.ReadWriteCloser)
	client, can := w.(request.Switcher)
	if !ok || !can || r.Upgrade == "" {
		return errors.New("the backend changes to a protocol that nobody asked for")
	}
	protocol := strings.Join(resp.Header["Upgrade"], ", ")
	DropHopByHop(resp.Header)
	h := w.Header()
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	conn, from, err := client.SwitchProtocols()
	if err != nil {
		return fmt.Errorf("%w: %w", request.ErrClientGone, err)
	}
	r.SetTimeout(0) // it was for the response
	base, stopping := r.Base(), r.Stopping
	r.Leave()
	join(conn, from, origin, base, stopping)
	return nil
}

// join copies both ways until one side ends, nothing passes for tunnelIdle, or
// one of the contexts ends.
func join(client net.Conn, from io.Reader, origin io.ReadWriteCloser, until ...context.Context) {
	closeBoth := sync.OnceFunc(func() {
		client.Close()
		origin.Close()
	})
	idle := newTunnelTimer(closeBoth)
	defer idle.timer.Stop()
	for _, ctx := range until {
		stop := context.AfterFunc(ctx, closeBoth)
		defer stop()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := io.Copy(&tunnelEnd{origin, idle}, from)
		halfClose(origin, err, idle, closeBoth)
	})
	_, err := io.Copy(&tunnelEnd{client, idle}, origin)
	halfClose(client, err, idle, closeBoth)
	wg.Wait()
	closeBoth()
}

// tunnelRest is how long the other direction may be silent after one has ended. If that is
// because its end is gone, a TCP connection doesn't show it.
const tunnelRest = time.Minute

// tunnelTimer ends a tunnel through which nothing passes.
type tunnelTimer struct {
	timer *time.Timer
	most  atomic.Int64 // how long, in nanoseconds
}

func newTunnelTimer(end func()) *tunnelTimer {
	t := &tunnelTimer{timer: time.AfterFunc(tunnelIdle, end)}
	t.most.Store(int64(tunnelIdle))
	return t
}

// passed is called when something passes.
func (t *tunnelTimer) passed() { t.timer.Reset(time.Duration(t.most.Load())) }

// shorten is called when one direction has ended.
func (t *tunnelTimer) shorten() {
	t.most.Store(int64(tunnelRest))
	t.passed()
}

// tunnelEnd is where a direction of a tunnel leads. What passes keeps it open.
type tunnelEnd struct {
	io.Writer
	idle *tunnelTimer
}

func (e *tunnelEnd) Write(p []byte) (int, error) {
	e.idle.passed()
	return e.Writer.Write(p)
}

// halfClose ends the stream to one end. If that fails, or the other
// end broke off, both are closed.
func halfClose(end any, err error, idle *tunnelTimer, closeBoth func()) {
	half, ok := end.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		closeBoth()
		return
	}
	idle.shorten()
}
