package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/php"
)

// message is a Megaki message on its way to a backend.
type message struct {
	*megaki.Request
	ctx     context.Context // ends when the daemon cuts requests off
	payload config.Payload  // http or raw
	route   string          // named in logs
	timeout time.Duration   // of the route; 0: the backend's own
}

// Errors of the proxy itself; see statusOf.
var (
	errBadRequest = errors.New("not an HTTP/1.x request, which this listener takes alone")
	errNoRoute    = errors.New("no route matches")
	errNoHTTP     = errors.New("the script has an on_http, which isn't called yet")
)

// payloadOf tells what a message is. In auto the first line decides alone: a
// method token and " HTTP/1." make it http.
func payloadOf(configured config.Payload, body []byte) config.Payload {
	if configured == config.PayloadAuto {
		if looksLikeHTTP(body) {
			return config.PayloadHTTP
		}
		return config.PayloadRaw
	}
	return configured
}

func looksLikeHTTP(body []byte) bool {
	line := body
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	i := 0
	for i < len(line) && isTokenByte(line[i]) {
		i++
	}
	return i > 0 && i < len(line) && line[i] == ' ' && bytes.Contains(line[i:], []byte(" HTTP/1."))
}

// isTokenByte reports whether c may stand in a method (RFC 9110, section 5.6.2).
func isTokenByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// statusClientGone stands in the access log, as in nginx's, for a request whose
// client left before its answer.
const statusClientGone = 499

// statusOf is the HTTP status for how a request ended: the one place that
// decides it.
func statusOf(err error) int {
	var script *php.ScriptError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errBadRequest):
		return http.StatusBadRequest
	case errors.Is(err, errNoRoute):
		return http.StatusNotFound
	case errors.Is(err, errNoHTTP):
		return http.StatusNotImplemented
	case errors.As(err, &script):
		return http.StatusInternalServerError
	case errors.Is(err, php.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return statusClientGone
	case errors.Is(err, php.ErrQueueFull), errors.Is(err, php.ErrQueueTimeout), errors.Is(err, php.ErrClosed),
		errors.Is(err, megaki.ErrMemory):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway // a worker that died, an answer over the limit
}

// writeError answers an HTTP message with a status.
func writeError(w *megaki.ResponseWriter, status int) {
	text := http.StatusText(status)
	retry := ""
	if status == http.StatusServiceUnavailable {
		retry = "Retry-After: 1\r\n"
	}
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s\r\n%d %s\n",
		status, text, len(text)+5, retry, status, text)
}
