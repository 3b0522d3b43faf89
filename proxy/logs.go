package proxy

import (
	"io"
	"net/http"

	"mkd/config"
	"mkd/proxy/logs"
)

// NewLogs returns the logs of a configuration, which go to out.
func NewLogs(cfg config.Log, out io.Writer) (*logs.Logs, error) {
	return logs.New(out, logs.Options{Level: cfg.Level, Format: cfg.Format, Access: cfg.Access, AccessRate: cfg.AccessRate})
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
