package route

import (
	"time"

	"mkd/proxy/logs"
	"mkd/proxy/request"
)

// end counts a request that has ended, and writes its access line.
func (h *Handler) end(w request.Response, r *request.Request) {
	line := logs.Request{
		Listener: r.Listener,
		Client:   r.Client,
		Route:    r.Record.Route,
		Backend:  r.Record.Backend,
		Upstream: r.Record.Upstream,
		Worker:   r.Record.Worker,
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
		h.failures.Fail(int(request.KindOf(line.Err)))
	}
	counts := r.Record.Tally
	if counts == nil {
		counts = h.unmatched
	}
	counts.End(line.Status, line.In, line.Out, time.Since(r.Started))
	if r.Session != nil {
		line.Session, line.Key, line.Payload = r.Session, r.Key, "http"
	}
	if r.Raw {
		line.Payload = "raw"
	} else if r.URL != nil {
		line.Method, line.Host, line.Path, line.Proto = r.Method, r.Request.Host, r.Path, r.Proto
		if r.Message != nil {
			line.Proto = "Megaki/1"
		}
	}
	agent, id := h.logs.Wants(line.Failed)
	if agent && !r.Raw {
		line.Agent, line.Referer = first(r.Header["User-Agent"]), first(r.Header["Referer"])
	}
	if id {
		line.ID = r.GivenID()
	}
	if !r.Record.Unlisted || line.Failed {
		h.logs.Access(&line)
	}
}

// first returns the first line of a field.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}
