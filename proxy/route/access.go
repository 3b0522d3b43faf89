package route

import (
	"sync"
	"time"

	"mkd/proxy/logs"
	"mkd/proxy/request"
)

// begin notes what the access line has of the client's header: the route may change it.
func begin(r *request.Request) {
	if r.Raw {
		return
	}
	r.Record.Host, r.Record.Agent, r.Record.Referer = r.Request.Host, first(r.Header["User-Agent"]), first(r.Header["Referer"])
}

// end counts a request that has ended, and writes its access line.
func (h *Handler) end(w request.Response, r *request.Request) {
	status, failed := w.Status(), false
	if err := r.Record.Err; err != nil {
		status = request.Status(err)
		kind := request.KindOf(err)
		// A bad request may have 501 or 505, which is the client's fault. A raw message has no
		// status: its connection is closed.
		failed = status >= 500 && kind != request.BadRequest || r.Raw && status != request.StatusClientGone
		h.failures.Fail(int(kind))
	}
	counts := r.Record.Tally
	if counts == nil {
		counts = h.unmatched
	}
	counts.End(status, r.Received(), w.Size(), time.Since(r.Started))
	if !r.Record.Unlisted || failed {
		h.log(w, r, status, failed)
	}
}

// log writes the access line of a request, if that is wanted.
func (h *Handler) log(w request.Response, r *request.Request, status int, failed bool) {
	wanted, agent, id := h.logs.Wants(failed)
	if !wanted {
		return
	}
	line := lines.Get().(*logs.Request)
	defer lines.Put(line)
	*line = logs.Request{
		Listener: r.Listener,
		Client:   r.Client,
		Route:    r.Record.Route,
		Backend:  r.Record.Backend,
		Upstream: r.Record.Upstream,
		Worker:   r.Record.Worker,
		Status:   status,
		In:       r.Received(),
		Out:      w.Size(),
		Started:  r.Started,
		Err:      r.Record.Err,
		Failed:   failed,
	}
	if r.Session != nil {
		line.Session, line.Key, line.Payload = r.Session, r.Key, "http"
	}
	if r.Raw {
		line.Payload = "raw"
	} else if r.URL != nil {
		line.Method, line.Host, line.Path, line.Proto = r.Method, r.Record.Host, r.Path, r.Proto
		if r.Message != nil {
			line.Proto = "Megaki/1"
		}
	}
	if agent {
		line.Agent, line.Referer = r.Record.Agent, r.Record.Referer
	}
	if id {
		line.ID = r.GivenID()
	}
	h.logs.Access(line)
	*line = logs.Request{} // it holds on to the request
}

// lines has Requests for access lines.
var lines = sync.Pool{New: func() any { return new(logs.Request) }}

// first returns the first line of a field.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}
