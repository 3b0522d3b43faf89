package backend

import (
	"log/slog"
	"net/http"

	"mkd/proxy/logs"
	"mkd/proxy/request"
)

// requestLog returns the log of a backend for what it does with a request.
func requestLog(l *slog.Logger, h *http.Request) *slog.Logger {
	r := request.Of(h.Context())
	if r == nil { // a health check
		return l
	}
	return l.With("client", r.Client.String(), "method", h.Method, "path", logs.Shorten(r.Path, logs.MaxPath))
}

// excessLog returns a function that logs that a response has more bytes than its
// Content-Length.
func excessLog(l *slog.Logger) func(*http.Request) {
	return func(h *http.Request) {
		requestLog(l, h).Warn("the response has more bytes than its Content-Length; the rest is dropped")
	}
}
