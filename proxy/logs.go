package proxy

import (
	"io"
	"log/slog"
	"net/http"

	"mkd/config"
	"mkd/proxy/logs"
)

// NewLogs returns the logs of a configuration, which go to out.
func NewLogs(cfg config.Log, out io.Writer) (*logs.Logs, error) {
	return logs.New(out, logs.Options{Level: cfg.Level, Format: cfg.Format, Access: cfg.Access, AccessRate: cfg.AccessRate})
}

// requestLog returns the log of a backend for what it does with a request.
func requestLog(l *logs.Logs, backend string, r *http.Request) *slog.Logger {
	log := l.Backend(backend)
	if x := exchangeOf(r.Context()); x != nil {
		log = log.With("client", x.client.String(), "method", r.Method, "path", logs.Shorten(x.path, logs.MaxPath))
	}
	return log
}

// excessLog returns a function that logs that a response has more bytes than its
// Content-Length.
func excessLog(l *logs.Logs, backend string) func(r *http.Request) {
	return func(r *http.Request) {
		requestLog(l, backend, r).Warn("the response has more bytes than its Content-Length; the rest is dropped")
	}
}

// logRequest logs a request that has ended.
func logRequest(l *logs.Logs, x *exchange, r *http.Request) {
	line := logs.Request{
		Listener: x.listener,
		Client:   x.client,
		Upstream: x.upstream,
		Status:   x.answer.Status(),
		In:       x.in(),
		Out:      x.answer.Size(),
		Started:  x.started,
		Err:      x.err,
	}
	if x.err != nil {
		line.Status = statusOf(x.err)
		// A raw message has no status: its connection is closed.
		line.Failed = line.Status >= 500 || x.payload == config.PayloadRaw && line.Status != statusClientGone
	}
	if x.session != nil {
		line.Session, line.Payload = x.session, string(x.payload)
	}
	if x.payload == config.PayloadHTTP && r.URL != nil {
		line.Method, line.Host, line.Path = r.Method, r.Host, x.path
	}
	if x.route != nil {
		line.Route, line.Backend = x.route.name, x.route.target
	}
	l.Access(&line)
}
