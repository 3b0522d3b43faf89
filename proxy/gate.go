package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"

	"mkd/config"
	"mkd/proxy/httpmsg"
	"mkd/proxy/logs"
)

// gate is what every door ends in: the http.Handler of a listener. It
// finds the route of a request, has it answered, answers what went wrong, and
// writes the access line.
type gate struct {
	routes      []listed
	trusted     []netip.Prefix // proxies before us
	clientField string         // the field of a trusted proxy that has the client's address
	logs        *logs.Logs
	base        context.Context                          // ends when requests are cut off
	only        func(x *exchange, r *http.Request) error // answers all, in place of the routes
}

// ServeHTTP implements http.Handler. The request's context must have an
// exchange.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	defer func() {
		logRequest(g.logs, x, r)
		x.release()
	}()
	if x.err = g.answer(x, r); x.err == nil {
		return
	}
	if g.base.Err() != nil && errors.Is(x.err, context.Canceled) {
		x.err = errStopping
	}
	if !g.answerError(x, r) {
		x.unanswered = true
		if x.message == nil {
			panic(http.ErrAbortHandler) // a cut answer must not look whole
		}
	}
}

// answer has a request answered in whole.
func (g *gate) answer(x *exchange, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = errAborted
		default:
			err = &panicError{v}
			g.logs.Main.Sugar().Errorw("a request met a fault in mkd", "listener", x.listener, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	if err := g.serve(x, r); err != nil {
		return err
	}
	return x.answer.Finish()
}

// answerError answers with what went wrong, and reports false if there is no way
// to: a part of an answer has gone, or there is no room.
func (g *gate) answerError(x *exchange, r *http.Request) bool {
	h := x.answer.Header()
	allow, contentRange := h["Allow"], h["Content-Range"] // of a 405, of a 416
	for range 2 {
		if !x.answer.Reset() {
			return false
		}
		if allow != nil {
			h["Allow"] = allow
		}
		if contentRange != nil {
			h["Content-Range"] = contentRange
		}
		if x.body != nil && x.body.broken && r.ProtoMajor == 1 {
			h["Connection"] = []string{"close"}
		}
		answerError(x.answer, x.err)
		if x.answer.Finish() == nil {
			return true
		}
		x.answer.ChangeHeader(nil) // perhaps it is what doesn't fit
	}
	return false
}

func (g *gate) serve(x *exchange, r *http.Request) error {
	if x.refused != nil {
		return x.refused
	}
	if x.payload == config.PayloadHTTP {
		if err := g.admit(x, r); err != nil {
			return err
		}
	}
	x.exempt = contains(g.trusted, x.client.Addr())
	rt := find(g.routes, x, r)
	switch {
	case r.Method == http.MethodTrace && (rt == nil || g.only != nil):
		x.answer.Header()["Allow"] = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
		return errTrace
	case g.only != nil:
		return g.only(x, r)
	case rt == nil:
		return errNoRoute
	}
	x.route = rt
	if rt.response != nil {
		x.answer.ChangeHeader(rt.response.apply)
	}
	if rt.limit != nil {
		if after := rt.limit.take(x); after > 0 {
			return &tooMany{after}
		}
	}
	if x.payload == config.PayloadRaw {
		if err := requestOfRaw(r, rt.cfg.Raw, x); err != nil {
			return err
		}
	}
	if err := rt.bound(x, r); err != nil {
		return err
	}
	gzip := rt.cfg.Compress && takesGzip(r.Header) // before the backend's view of it
	rt.rewrite(x, r)
	x.startTimeout()
	if rt.cfg.Compress {
		return serveCompressed(x, r, rt.action, gzip)
	}
	return rt.action.serve(x, x.answer, r)
}

// admit checks an HTTP request, brings it to the one form in which it is matched
// and forwarded, and finds who asks.
func (g *gate) admit(x *exchange, r *http.Request) (err error) {
	if r.Method == http.MethodConnect {
		return &httpmsg.Error{Status: http.StatusNotImplemented, Reason: "CONNECT isn't served here"}
	}
	if err := httpmsg.CleanPath(r.URL); err != nil {
		return err
	}
	x.path = httpmsg.MatchPath(r.URL)
	if written, same := httpmsg.WrittenPath(r.RequestURI); same {
		x.written = written
	}
	if err := oneHost(r); err != nil {
		return err
	}
	x.asked = r.Host
	if r.Host != "" { // HTTP/1.0 may have none
		if x.host, err = httpmsg.CleanHost(r.Host); err != nil {
			return err
		}
	}
	return g.identify(x, r)
}

// oneHost makes r.Host the only place that has the host. An HTTP/2 request may
// have a Host field beside its :authority. If they differ, it is malformed (RFC
// 9113, section 8.3.1): a route would match the one and an upstream serve the
// other.
func oneHost(r *http.Request) error {
	fields := r.Header["Host"]
	if len(fields) > 1 || len(fields) == 1 && !strings.EqualFold(fields[0], r.Host) {
		return &badRequest{errors.New("the Host field differs from :authority")}
	}
	delete(r.Header, "Host")
	return nil
}

// bound keeps a request's body to the limit of the route.
func (rt *route) bound(x *exchange, r *http.Request) error {
	if rt.maxBody == 0 {
		return nil
	}
	if r.ContentLength > rt.maxBody {
		return &tooLarge{rt.maxBody}
	}
	if x.body != nil {
		x.body.limit = rt.maxBody
	}
	return nil
}

// rewrite changes a request as the route says.
func (rt *route) rewrite(x *exchange, r *http.Request) {
	prefix := rt.cfg.StripPrefix
	if prefix != "" && stripPrefix(r.URL, prefix) {
		x.prefix = prefix
	}
	if rt.cfg.RawPath {
		useWritten(r.URL, x.written, x.prefix)
	}
	if p, ok := rt.action.(preparer); ok {
		p.prepare(x, r)
	}
	if rt.request != nil {
		x.hostSet = rt.request.applyRequest(r)
	}
}

// stripPrefix takes a prefix off a path, and reports whether it was there. What
// is left begins with a slash.
func stripPrefix(u *url.URL, prefix string) bool {
	rest, ok := strings.CutPrefix(u.EscapedPath(), (&url.URL{Path: prefix}).EscapedPath())
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	if rest == "" {
		rest = "/"
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return false
	}
	u.Path, u.RawPath = path, rest
	return true
}

// useWritten makes the path of a URL the one that the client wrote, without the
// prefix that was taken off it. The URL stays as it is if there is no such path,
// or if the prefix is written in another way.
func useWritten(u *url.URL, written, prefix string) {
	if written == "" {
		return
	}
	rest := &url.URL{}
	var err error
	if rest.Path, err = url.PathUnescape(written); err != nil {
		return
	}
	rest.RawPath = written
	if prefix == "" || stripPrefix(rest, prefix) {
		u.Path, u.RawPath = rest.Path, rest.RawPath
	}
}

// requestOfRaw makes a request of a raw message.
func requestOfRaw(r *http.Request, c *config.Raw, x *exchange) error {
	method, target, contentType := http.MethodPost, "/", "application/octet-stream"
	if c != nil {
		method, target, contentType = c.Method, c.Path, c.ContentType
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	message := x.message.Body
	r.Method, r.URL, r.RequestURI, r.Host = method, u, target, ""
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Header = http.Header{"Content-Type": {contentType}}
	r.ContentLength = int64(len(message))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(message)), nil }
	r.Body, _ = r.GetBody()
	return nil
}
