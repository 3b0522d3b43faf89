package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"time"

	"mkd/megaki"
	"mkd/megaki/httpclient"
)

// forwarder is the handler of forward.
type forwarder struct {
	site      string // the Host field of the site
	listen    string // the host that is listened on, as the user wrote it
	timeout   time.Duration
	transport *httpclient.Transport
	log       *log.Logger
	verbose   bool
}

// ServeHTTP implements http.Handler.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &recorder{ResponseWriter: w, status: http.StatusOK}
	start := time.Now()
	if f.verbose {
		defer func() {
			f.log.Printf("%s %s %d, %d bytes, %s", r.Method, r.RequestURI, out.status, out.bytes, time.Since(start).Round(time.Microsecond))
		}()
	}
	if !f.isLocal(r) {
		http.Error(out, fmt.Sprintf("The host %q isn't the one that sazukari forward listens on.", r.Host), http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), f.timeout, errSlow)
	defer cancel()
	names := names{site: f.site, local: r.Host}
	proxy := httputil.ReverseProxy{
		Transport: f.transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "https", f.site, f.site
			p.Out.URL.RawQuery = p.In.URL.RawQuery // as it is, be it malformed
			names.request(p.Out.Header)
		},
		ModifyResponse: func(response *http.Response) error {
			names.response(response.Header)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { f.fail(w, err) },
		ErrorLog:     f.log,
	}
	proxy.ServeHTTP(out, r.WithContext(ctx))
}

// errSlow is the cause of a context that ended after --timeout.
var errSlow = errors.New("the server took longer than --timeout")

// fail writes the response of a request that has none.
func (f *forwarder) fail(w http.ResponseWriter, err error) {
	var (
		long        *megaki.TooLongError
		wrong       *httpclient.RequestError
		unsupported *httpclient.UnsupportedError
	)
	isLong, isWrong := errors.As(err, &long), errors.As(err, &wrong)
	status, advice := http.StatusBadGateway, ""
	switch {
	case errors.Is(err, context.Canceled): // the client has gone
		return
	case errors.Is(err, errSlow):
		status = http.StatusGatewayTimeout
	case errors.Is(err, httpclient.ErrBusy):
		status, advice = http.StatusServiceUnavailable, "; see --connections"
		w.Header().Set("Retry-After", "1")
	case isLong && isWrong:
		status, advice = http.StatusRequestEntityTooLarge, "; see --max-message"
	case isLong:
		advice = "; see --max-message"
	case errors.As(err, &unsupported):
		status = http.StatusNotImplemented
	case isWrong:
		status = http.StatusBadRequest
	}
	f.log.Printf("%d: %v%s", status, err, advice)
	http.Error(w, fmt.Sprintf("sazukari forward: %v%s", err, advice), status)
}

// isLocal reports whether the Host of a request is the address that it came to.
// A page of the web can have a name point to this machine, and so send requests
// here, but their Host is that name.
func (f *forwarder) isLocal(r *http.Request) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return false
	}
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		name, port = strings.Trim(r.Host, "[]"), "80"
	}
	if port != fmt.Sprint(address.Port) {
		return false
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap() == address.AddrPort().Addr().Unmap()
	}
	return strings.EqualFold(name, "localhost") && address.IP.IsLoopback() || name != "" && strings.EqualFold(name, f.listen)
}

// recorder notes what is written for the log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap returns what http.ResponseController works with.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
