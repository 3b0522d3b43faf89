package route

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"mkd/proxy/forward"
	"mkd/proxy/httpmsg"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/proxy/tally"
	"mkd/share"
)

// Handler handles all requests of a listener: it finds the route of a request,
// has the route's backend respond, responds with an error if that fails, counts
// the request, and writes the access line.
type Handler struct {
	routes   []listed
	pages    *pages    // nil: there are none
	redirect *redirect // all requests are redirected to HTTPS; nil: they aren't
	clients  *forward.Clients
	logs     *logs.Logs

	maintenance *atomic.Bool

	failures  *tally.Tally
	unmatched *tally.Requests // counts the requests that no route takes
}

// Handle implements request.Lease together with the generation's Release.
func (h *Handler) Handle(w request.Response, r *request.Request, refused error) error {
	begin(r)
	defer h.end(w, r)
	if h.pages != nil {
		r.Pages = h.pages
	}
	err := h.respond(w, r, refused)
	if err == nil {
		return nil
	}
	if r.CutOff() && errors.Is(err, context.Canceled) {
		err = request.ErrStopping
	}
	r.Record.Err = err
	if r.Raw || !respondError(w, err, r.Pages) {
		return err
	}
	return nil
}

// respond writes the whole response.
func (h *Handler) respond(w request.Response, r *request.Request, refused error) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = request.ErrAborted
		default:
			err = request.Errorf(request.Fault, "a fault in mkd: %v", v)
			h.logs.Main.Sugar().Errorw("a request met a fault in mkd", "listener", r.Listener, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	if refused != nil {
		return refused
	}
	if err := h.serve(w, r); err != nil {
		return err
	}
	return w.Finish()
}

// respondError writes the response to a request that ended with err, and reports
// false if it can't: a part of a response has been sent, or there is no room.
func respondError(w request.Response, err error, pages request.Pages) bool {
	h := w.Header()
	kept := "" // the field that was set for this error
	switch request.Status(err) {
	case http.StatusMethodNotAllowed:
		kept = "Allow"
	case http.StatusRequestedRangeNotSatisfiable:
		kept = "Content-Range"
	}
	values := h[kept]
	for range 2 {
		if !w.Reset() {
			return false
		}
		if values != nil {
			h[kept] = values
		}
		request.RespondError(w, err, pages)
		if w.Finish() == nil {
			return true
		}
		w.ChangeHeader(nil) // perhaps the route's fields don't fit, or the page
		pages = nil
	}
	return false
}

// serve finds the route, and serves the request by it.
func (h *Handler) serve(w request.Response, r *request.Request) error {
	if !r.Raw {
		if err := h.admit(r); err != nil {
			return err
		}
	}
	if r.Own != nil {
		return r.Own(w, r)
	}
	r.Exempt = share.Contains(h.clients.Trusted, r.Client.Addr())
	rt := h.find(r)
	switch {
	case r.Method == http.MethodTrace && (rt == nil || h.redirect != nil):
		w.Header()["Allow"] = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
		return errTrace
	case h.redirect != nil:
		return h.redirect.Serve(w, r)
	case rt == nil && h.maintenance.Load():
		return request.ErrMaintenance
	case rt == nil:
		return request.ErrNoRoute
	}
	r.Record.Tally = rt.tally
	if h.maintenance.Load() {
		if rt.pages != nil {
			r.Pages = rt.pages
		}
		return request.ErrMaintenance
	}
	return rt.serve(w, r)
}

// errTrace is for TRACE where no route names it.
var errTrace = &httpmsg.Error{Status: http.StatusMethodNotAllowed, Reason: "TRACE isn't served here"}

// admit checks an HTTP request, brings it to the one form in which it is matched
// and forwarded, and finds out who the client is.
func (h *Handler) admit(r *request.Request) (err error) {
	if r.Method == http.MethodConnect {
		return &httpmsg.Error{Status: http.StatusNotImplemented, Reason: "CONNECT isn't served here"}
	}
	if err := httpmsg.CleanPath(r.URL); err != nil {
		return err
	}
	r.Path = httpmsg.MatchPath(r.URL)
	if written, same := httpmsg.WrittenPath(r.RequestURI); same {
		r.Written = written
	}
	if err := oneHost(r.Request); err != nil {
		return err
	}
	r.Asked = r.Request.Host
	if r.Asked != "" { // HTTP/1.0 may have none
		if r.Host, err = httpmsg.CleanHost(r.Asked); err != nil {
			return err
		}
	}
	return h.clients.Identify(r)
}

// oneHost makes r.Host the only place that has the host. An HTTP/2 request may
// have a Host field beside its :authority. If they differ, it is malformed (RFC
// 9113, section 8.3.1): a route would match the one and an upstream serve the
// other.
func oneHost(r *http.Request) error {
	fields := r.Header["Host"]
	if len(fields) > 1 || len(fields) == 1 && !strings.EqualFold(fields[0], r.Host) {
		return request.Malformed("the Host field differs from :authority")
	}
	delete(r.Header, "Host")
	return nil
}

// find returns the first route that takes a request, nil if none does. A route
// takes TRACE, which shows what fields a server receives, only if it names it.
func (h *Handler) find(r *request.Request) *listed {
	var loose loosePath
	return findIn(h.routes, r, &loose)
}

func findIn(routes []listed, r *request.Request, loose *loosePath) *listed {
	for i := range routes {
		l := &routes[i]
		if !l.takes(r, loose) {
			continue
		}
		if len(l.inner) == 0 {
			return l
		}
		if inner := findIn(l.inner, r, loose); inner != nil {
			return inner
		}
		if r.Method != http.MethodTrace {
			return l // which responds that there is nothing
		}
	}
	return nil
}

// takes reports whether a route takes a request.
func (l *listed) takes(r *request.Request, loose *loosePath) bool {
	if r.Raw {
		return l.raw && l.match.client(r.Client.Addr())
	}
	return l.http && l.match.all(r, loose) && (r.Method != http.MethodTrace || l.trace)
}
