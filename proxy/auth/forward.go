package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mkd/config"
	"mkd/proxy/forward"
	"mkd/proxy/request"
)

// Bounds of the responses of the server that reach clients, in bytes: of one, and of all that
// are in memory, of which each client has its share.
const (
	maxAuthBody = 1 << 20
	maxRelayed  = 256 << 20
)

// forwarded asks a server about each request.
type forwarded struct {
	state  *State
	url    *url.URL
	copied []string // fields, in their canonical form
	client *http.Client
}

func newForward(c *config.ForwardAuth, s *State) (*forwarded, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	f := &forwarded{state: s, url: u}
	for _, name := range c.Copy {
		f.copied = append(f.copied, http.CanonicalHeaderKey(name))
	}
	f.client = &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			DisableCompression: true, TLSHandshakeTimeout: c.Timeout, ForceAttemptHTTP2: true,
		},
	}
	return f, nil
}

// Strip implements Guard. Fields that Connection names, and those with underscores, which
// some servers take for the same, are gone before. The guards still need the proofs of the
// client: Check removes them.
func (f *forwarded) Strip(h http.Header) {
	for _, name := range f.copied {
		if !isProof(name) {
			delete(h, name)
		}
	}
}

// isProof reports whether clients prove with a field who they are.
func isProof(name string) bool { return name == "Authorization" || name == "Cookie" }

// Check implements Guard.
func (f *forwarded) Check(w request.Response, r *request.Request) (bool, error) {
	resp, err := f.client.Do(f.question(r))
	if err != nil {
		if errors.Is(r.Context().Err(), context.Canceled) {
			return false, r.Context().Err()
		}
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the URL, whose query may have a secret
		}
		return false, request.Errorf(request.Down, "asking the auth server %s: %w", f.url.Host, err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code < 200: // which can't end a request: the client would get an empty 200
		return false, request.Errorf(request.Down, "the auth server's response has the status %d", code)
	case code > 299:
		return false, f.relay(w, r, resp)
	}
	io.CopyN(io.Discard, resp.Body, 16<<10) // so that the connection can be used again
	for _, name := range f.copied {
		if lines := resp.Header[name]; len(lines) > 0 {
			r.Header[name] = lines
		} else if isProof(name) {
			delete(r.Header, name)
		}
	}
	for _, name := range []string{"Remote-User", "X-Auth-Request-User", "X-Forwarded-User"} {
		if user := resp.Header.Get(name); user != "" {
			r.User = user
			break
		}
	}
	return true, nil
}

// notAsked are the beginnings of fields that the server doesn't get. Some are about the
// body. X-Original-Url and others are those of other proxies for what the client asked
// for; some servers believe them rather than X-Forwarded-Uri, and a client could name a
// path that is open to all.
var notAsked = []string{"Content-", "If-", "Range", "Expect", "Transfer-Encoding", "X-Original-", "X-Rewrite-Url"}

// question returns the request to the server.
func (f *forwarded) question(r *request.Request) *http.Request {
	h := r.Header.Clone()
	for name := range h {
		if slices.ContainsFunc(notAsked, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			delete(h, name)
		}
	}
	proto := "http"
	if r.Secure {
		proto = "https"
	}
	h.Set("X-Forwarded-Method", r.Method)
	h.Set("X-Forwarded-Proto", proto)
	h.Set("X-Forwarded-Host", r.Asked)
	h.Set("X-Forwarded-Uri", r.URL.RequestURI()) // in its clean form: what the backend gets
	h.Set("X-Forwarded-For", r.Client.Addr().String())
	q := &http.Request{Method: http.MethodGet, URL: f.url, Header: h, Host: f.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	return q.WithContext(r.Context())
}

var errRelayed = errors.New("responses of the auth server wait for clients, or for this one, in all the memory that they may take")

// relay writes the server's response to the client, which may take its time.
func (f *forwarded) relay(w request.Response, r *request.Request, resp *http.Response) error {
	size := resp.ContentLength
	if size < 0 || size > maxAuthBody {
		size = maxAuthBody
	}
	release, ok := f.state.relayed.TakeFor(r.Counted(), size)
	if !ok {
		return &request.Error{Kind: request.Busy, Err: errRelayed}
	}
	defer release()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAuthBody+1))
	if err != nil {
		return request.Errorf(request.Down, "reading the auth server's response: %w", err)
	}
	if len(body) > maxAuthBody {
		return request.Errorf(request.Down, "the auth server's response is longer than 1 MiB")
	}
	forward.DropHopByHop(resp.Header)
	h := w.Header()
	for name, lines := range resp.Header {
		h[name] = lines
	}
	delete(h, "Content-Length")
	if len(body) == 0 {
		w.WriteHeader(resp.StatusCode)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(resp.StatusCode)
	_, err = w.Write(body)
	return err
}
