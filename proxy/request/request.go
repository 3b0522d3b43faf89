package request

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mkd/megaki"
	"mkd/proxy/httpmsg"
	"mkd/proxy/tally"
)

// Request is a client's request. The listener makes it, and hands it from room
// to room as an argument. The http.Request in it has what the client wrote, in
// the form in which it is matched and forwarded; its context is that of the
// Request. It is valid until the response is complete.
type Request struct {
	*http.Request

	// What the listener knows.
	Listener string         // the listener's name
	Raw      bool           // a Megaki message that isn't HTTP
	Message  []byte         // the whole Megaki message; nil on HTTP listeners
	Session  *megaki.Token  // of the client; nil on HTTP listeners
	Key      string         // the server key that the session began with, by its name; "" on HTTP listeners
	Secure   bool           // the client's connection is encrypted
	Cert     *ClientCert    // of the client; nil: it wasn't asked for one
	Local    netip.AddrPort // where the client connected to; may be unknown
	Remote   netip.AddrPort // the other end of the connection
	Started  time.Time
	Stopping context.Context // ends when the listener closes, which ends tunnels; nil: there are none
	// Own responds in place of a route, at a path of the listener's own; nil: a route does.
	Own func(Response, *Request) error

	// What the header shows, once the route handler has read it.
	Client  netip.AddrPort // the client's address, as far as trusted proxies know it
	Exempt  bool           // from shares of a client: it is a trusted proxy that named none
	Asked   string         // the Host that the client asked for
	Host    string         // the same in lower case, without a port: as it is matched
	Path    string         // as it is matched
	Written string         // the path as the client wrote it; "" if that could mean another one
	User    string         // who the client has proven to be, "" if the route doesn't ask
	Upgrade string         // the protocol that the client wants to change to

	// What the route decides.
	Timeout time.Duration // bounds how long the backend is waited for; 0: it doesn't
	Prefix  string        // of the path, which the route removed, decoded
	HostSet bool          // the route set the Host, which the backend must keep
	Changed bool          // the request isn't the Message any more
	// EncodedSlashes is whether %2F in the path may reach a script.
	EncodedSlashes bool
	// Overridden are the fields of the response that the route removes or sets.
	// None of them may come before it, in a 1xx response, or after the body, either.
	Overridden []string
	Record     Record
	Pages      Pages // for errors; nil: there are none

	ctx      *Context // used again until somebody waits for its end
	parent   context.Context
	base     context.Context // ends when requests are cut off
	received atomic.Int64    // bytes of the body

	waits   sync.Mutex    // guards what follows
	allowed time.Duration // of the last SetTimeout
	reading bool          // the body is read from the client

	lease Lease

	id       string // see ID
	askedURI string // see KeepAskedURI

	values [8]string // of fields that mkd sets itself
	set    int       // how many of them are in use
	remote textOf    // Remote's
}

// textOf keeps the text of an address, which is the same for all requests of a
// connection.
type textOf struct {
	addr netip.Addr
	text string
}

// Record is what the access line has beside the request itself.
type Record struct {
	Route    string // the route's name
	Backend  string // the backend's name, or respond or redirect
	Upstream string // the server that the request went to
	Worker   int    // the process that ran a PHP script; 0: none
	Host     string // Host, User-Agent and Referer, as the client sent them
	Agent    string
	Referer  string
	Err      error // why the response is an error, or incomplete
	Unlisted bool  // it makes no access line unless it fails

	Tally *tally.Requests // where the request is counted; nil: no route takes it
}

// Lease is the use of a generation of the configuration, which a request has
// from its start to its end.
type Lease interface {
	// Handle responds to a request. If refused is not nil the request is
	// malformed, and the response shows that. An error means that there is no
	// complete response, so that the connection must be closed.
	Handle(w Response, r *Request, refused error) error
	// Release ends the use. It is called once.
	Release()
}

// Backend responds to the requests of routes. It is safe for use by several
// goroutines.
type Backend interface {
	// Serve responds to a request. An error means that there is no response, or
	// an incomplete one.
	Serve(w Response, r *Request) error
}

// Preparer is a Backend that adds fields to a request before the route changes
// its header: so the operator's changes have the last word.
type Preparer interface {
	Prepare(r *Request)
}

// Open prepares r for the next request. It returns the context that its
// http.Request must have: that of the last one, unless somebody has waited for
// its end, and may still look at it. parent ends when the client leaves; base, of
// which it is derived, only when requests are cut off.
func (r *Request) Open(parent, base context.Context) context.Context {
	r.parent, r.base = parent, base
	if r.ctx == nil || r.ctx.asked() {
		r.ctx = new(Context)
	}
	return r.ctx
}

// Begin begins the next request. All its fields are zero but those that the
// arguments give and Started; the lease ends with Leave.
func (r *Request) Begin(h *http.Request, l Lease) {
	r.Request, r.lease, r.Started = h, l, time.Now()
	r.Raw, r.Message, r.Session, r.Secure, r.Cert, r.Exempt, r.Stopping, r.Own = false, nil, nil, false, nil, false, nil, nil
	r.Local, r.Remote, r.Client = netip.AddrPort{}, netip.AddrPort{}, netip.AddrPort{}
	r.Listener, r.Key, r.Asked, r.Host, r.Path, r.Written, r.Upgrade, r.Prefix, r.User, r.askedURI = "", "", "", "", "", "", "", "", "", ""
	r.Timeout, r.Changed, r.EncodedSlashes, r.HostSet, r.Overridden, r.Record, r.Pages = 0, false, false, false, nil, Record{}, nil
	r.received.Store(0)
	r.allowed, r.reading = 0, false
	r.id, r.set = "", 0
	r.ctx.reset(r.parent)
}

// SetField sets a field of the header, whose name is in the canonical form.
func (r *Request) SetField(name, value string) {
	if r.set == len(r.values) {
		r.Header[name] = []string{value}
		return
	}
	r.values[r.set] = value
	r.set++
	r.Header[name] = r.values[r.set-1 : r.set : r.set]
}

// Counted returns the address that the request counts for where clients have shares, see
// package share: the client's, or none if the client is exempt.
func (r *Request) Counted() netip.Addr {
	if r.Exempt {
		return netip.Addr{}
	}
	return r.Client.Addr()
}

// RemoteAddress returns the address of the other end of the connection as text.
func (r *Request) RemoteAddress() string {
	if addr := r.Remote.Addr(); r.remote.addr != addr {
		r.remote = textOf{addr, addr.String()}
	}
	return r.remote.text
}

// Handle passes the request to the leased generation, which responds.
func (r *Request) Handle(w Response, refused error) error { return r.lease.Handle(w, r, refused) }

// Leave ends the lease, and stops the request's timer. A tunnel leaves when it
// is established: it may outlive the configuration. Further calls do nothing.
func (r *Request) Leave() {
	if l := r.lease; l != nil {
		r.lease = nil
		r.ctx.release()
		l.Release()
	}
}

// SetTimeout moves the deadline of the request's context to d from now; 0
// removes it. While the body is read from the client, there is no deadline: d begins when
// a part of it has come.
func (r *Request) SetTimeout(d time.Duration) {
	r.waits.Lock()
	defer r.waits.Unlock()
	if r.allowed = d; !r.reading {
		r.ctx.SetTimeout(d)
	}
}

// StartTimeout starts the route's timeout: from now on the backend is waited
// for.
func (r *Request) StartTimeout() { r.SetTimeout(r.Timeout) }

// awaitClient notes that the body is read from the client from now on, or no more.
func (r *Request) awaitClient(reading bool) {
	r.waits.Lock()
	defer r.waits.Unlock()
	r.reading = reading
	switch {
	case r.allowed == 0:
	case reading:
		r.ctx.SetTimeout(0)
	default:
		r.ctx.SetTimeout(r.allowed)
	}
}

// Detach keeps the request going when its client leaves. Nobody waits for its context
// any more but who was done with it, as a guard.
func (r *Request) Detach() { r.ctx.setParent(r.base) }

// Base returns the context that ends only when requests are cut off.
func (r *Request) Base() context.Context { return r.base }

// Received returns how many bytes came from the client: of a message, all of
// it; of an HTTP request, its body.
func (r *Request) Received() int64 { return int64(len(r.Message)) + r.received.Load() }

// CutOff reports whether requests are being cut off.
func (r *Request) CutOff() bool { return r.base.Err() != nil }

// AskedURI returns the path and query that the client asked for, before the
// route changed the path.
func (r *Request) AskedURI() string {
	switch {
	case r.askedURI != "":
		return r.askedURI
	case r.Written == "":
		return httpmsg.EscapeMatched(r.Prefix) + r.URL.RequestURI()
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return r.Written + "?" + r.URL.RawQuery
	}
	return r.Written
}

// AskedFor returns a URL with the path, decoded, and the query with which the client asks
// for those of the request. Of a path that was rewritten they are what the client wrote as
// long as the last segment is the same: then it is the same folder at another place.
// Otherwise they are what the route made of them.
func (r *Request) AskedFor() *url.URL {
	if r.askedURI == "" && r.Prefix == "" {
		return r.URL
	}
	asked := &url.URL{Path: r.Prefix + r.URL.Path, RawQuery: r.URL.RawQuery}
	switch {
	case r.askedURI != "":
		path, err := url.PathUnescape(r.Path)
		if err == nil && !strings.Contains(r.Path, "%2F") && lastSegment(path) == lastSegment(r.URL.Path) {
			asked.Path = path
			_, asked.RawQuery, _ = strings.Cut(r.askedURI, "?")
		}
	case r.Prefix != "" && r.URL.Path == "/" && !strings.HasSuffix(r.Path, "/"):
		asked.Path = r.Prefix
	}
	return asked
}

// lastSegment returns what follows the last slash of a path.
func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// KeepAskedURI keeps AskedURI as it is, when the URL is about to be rewritten.
func (r *Request) KeepAskedURI() { r.askedURI = r.AskedURI() }
