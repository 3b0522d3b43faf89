package route

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"mkd/proxy/request"
)

// Bounds of the pages that backends make.
const (
	pageTimeout = 5 * time.Second
	pageKept    = 10 * time.Second // also for a failure
)

// madePage is a page that a backend makes. It is kept for a while, so that a storm of
// errors asks the backend for few pages, and one of its own for few more. It is safe
// for use by several goroutines.
type madePage struct {
	backend request.Backend
	path    string // and query

	mu          sync.Mutex
	asking      bool
	until       time.Time
	contentType string
	content     []byte
	err         error
}

// errBeingMade is the error of a page that was never made, while the backend is asked.
var errBeingMade = errors.New("the backend is being asked for the page")

// load implements pageSource. While one request waits for the backend, others get what
// there was before.
func (p *madePage) load() (contentType string, content []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asking && !time.Now().Before(p.until) {
		if p.until.IsZero() {
			p.err = errBeingMade
		}
		p.asking = true
		p.mu.Unlock()
		contentType, content, err := p.ask()
		p.mu.Lock()
		p.contentType, p.content, p.err, p.asking = contentType, content, err, false
		p.until = time.Now().Add(pageKept)
	}
	return p.contentType, p.content, p.err
}

// ask gets the page from the backend.
func (p *madePage) ask() (contentType string, content []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("a fault in mkd: %v", v)
		}
	}()
	target, err := url.ParseRequestURI(p.path)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	r := new(request.Request)
	h := &http.Request{Method: http.MethodGet, URL: target, RequestURI: p.path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, Host: "localhost"}
	r.Begin(h.WithContext(r.Open(ctx, ctx)), released{})
	defer r.Leave()
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	r.Local, r.Remote, r.Client = local, local, local
	r.Asked, r.Host, r.Path, r.Written = h.Host, h.Host, target.Path, target.Path
	r.Timeout = pageTimeout
	r.StartTimeout()
	w := &pageWriter{header: make(http.Header)}
	switch err := p.backend.Serve(w, r); {
	case err != nil:
		return "", nil, fmt.Errorf("the backend's page %s: %w", p.path, err)
	case w.status != http.StatusOK:
		return "", nil, fmt.Errorf("the backend's page %s has the status %d, not 200", p.path, w.status)
	case w.header.Get("Content-Encoding") != "":
		return "", nil, fmt.Errorf("the backend's page %s has a content coding", p.path)
	}
	return w.header.Get("Content-Type"), w.body, nil
}

// released is the lease of a request that belongs to the pages, and so to their
// generation.
type released struct{}

// Handle implements request.Lease.
func (released) Handle(request.Response, *request.Request, error) error { return errors.ErrUnsupported }

// Release implements request.Lease.
func (released) Release() {}

// pageWriter is a response that is kept in memory.
type pageWriter struct {
	header http.Header
	status int
	body   []byte
}

var errLongPage = errors.New("the page is larger than 1 MiB")

// Header implements http.ResponseWriter.
func (w *pageWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *pageWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *pageWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if len(w.body)+len(p) > maxPage {
		return 0, errLongPage
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// FlushError is for http.ResponseController.
func (w *pageWriter) FlushError() error { return nil }

// Status implements request.Response.
func (w *pageWriter) Status() int { return w.status }

// Size implements request.Response.
func (w *pageWriter) Size() int64 { return int64(len(w.body)) }

// Finish implements request.Response.
func (w *pageWriter) Finish() error { return nil }

// Reset implements request.Response.
func (w *pageWriter) Reset() bool {
	*w = pageWriter{header: w.header}
	clear(w.header)
	return true
}

// ChangeHeader implements request.Response.
func (w *pageWriter) ChangeHeader(func(http.Header)) {}
