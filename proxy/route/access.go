package route

import (
	"mkd/proxy/logs"
	"mkd/proxy/request"
)

// log writes the access line of a request that has ended.
func (h *Handler) log(w request.Response, r *request.Request) {
	line := logs.Request{
		Listener: r.Listener,
		Client:   r.Client,
		Route:    r.Record.Route,
		Backend:  r.Record.Backend,
		Upstream: r.Record.Upstream,
		Status:   w.Status(),
		In:       r.Received(),
		Out:      w.Size(),
		Started:  r.Started,
		Err:      r.Record.Err,
	}
	if line.Err != nil {
		line.Status = request.Status(line.Err)
		// A raw message has no status: its connection is closed.
		line.Failed = line.Status >= 500 || r.Raw && line.Status != request.StatusClientGone
	}
	if r.Session != nil {
		line.Session, line.Payload = r.Session, "http"
	}
	if r.Raw {
		line.Payload = "raw"
	} else if r.URL != nil {
		line.Method, line.Host, line.Path = r.Method, r.Request.Host, r.Path
	}
	h.logs.Access(&line)
}
