package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tunnelIdle is how long nothing may pass through a tunnel. What runs in one, as
// WebSocket, says something more often to keep itself alive.
const tunnelIdle = time.Hour

// tunnel joins the connection of a client with that of an origin after both
// have changed to another protocol (RFC 9110, section 7.8).
func tunnel(x *exchange, w http.ResponseWriter, resp *http.Response) error {
	origin, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || x.upgrade == "" {
		return errors.New("the origin changes to a protocol that nobody asked for")
	}
	protocol := strings.Join(resp.Header["Upgrade"], ", ")
	dropHopByHop(resp.Header)
	h := w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("taking the client's connection over: %w", err)
	}
	defer client.Close()
	a := x.answer.(*webAnswer)
	a.status = http.StatusSwitchingProtocols
	if a.change != nil {
		a.change(h)
	}
	client.SetDeadline(time.Now().Add(a.timeout))
	fmt.Fprintf(buffered, "HTTP/1.1 101 %s\r\n", http.StatusText(http.StatusSwitchingProtocols))
	h.Write(buffered)
	buffered.WriteString("\r\n")
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	client.SetDeadline(time.Time{})
	x.setTimeout(0) // it was for the answer
	// Only what was read already comes from the server's reader: its end would
	// end the request's context.
	early := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered()))
	a.size = join(x, client, io.MultiReader(early, client), origin)
	return nil
}

// join copies both ways until one side ends, nothing passes for tunnelIdle, or
// the door closes. It returns how many bytes went to the client.
func join(x *exchange, client net.Conn, from io.Reader, origin io.ReadWriteCloser) (size int64) {
	closeBoth := sync.OnceFunc(func() {
		client.Close()
		origin.Close()
	})
	idle := time.AfterFunc(tunnelIdle, closeBoth)
	defer idle.Stop()
	for _, ctx := range []context.Context{x, x.stopping} {
		stop := context.AfterFunc(ctx, closeBoth)
		defer stop()
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := io.Copy(&tunnelEnd{origin, idle}, from)
		halfClose(origin, err, idle, closeBoth)
	})
	size, err := io.Copy(&tunnelEnd{client, idle}, origin)
	halfClose(client, err, idle, closeBoth)
	wg.Wait()
	closeBoth()
	return size
}

// tunnelRest is how long the other direction may be silent after one has ended.
const tunnelRest = time.Minute

// tunnelEnd is where a direction of a tunnel leads. What passes keeps it open.
type tunnelEnd struct {
	io.Writer
	idle *time.Timer
}

func (e *tunnelEnd) Write(p []byte) (int, error) {
	e.idle.Reset(tunnelIdle)
	return e.Writer.Write(p)
}

// halfClose tells an end that no more comes. If it can't be told, or the other
// end broke off, both are closed.
func halfClose(end any, err error, idle *time.Timer, closeBoth func()) {
	half, ok := end.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		closeBoth()
		return
	}
	idle.Reset(tunnelRest)
}
