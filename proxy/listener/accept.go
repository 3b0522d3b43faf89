package listener

import (
	"errors"
	"log/slog"
	"net"
	"time"
)

// accept hands each connection of l to serve, which returns at once, until l is
// closed. An error that may pass, such as a lack of descriptors, is logged,
// and accepting goes on after a pause that grows up to a second.
func accept(l net.Listener, log *slog.Logger, serve func(net.Conn)) error {
	var pause time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			serve(c)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			log.Error("can't accept a connection", "error", err, "again_in", pause)
			time.Sleep(pause)
		}
	}
}
