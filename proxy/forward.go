package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"sync"
	"time"
)

// forwarder hands requests to an origin, and its answers to clients: what all
// kinds of origins have in common.
type forwarder struct {
	origin  http.RoundTripper
	upgrade bool // whether the origin can change protocols
	// instead may answer in place of the origin, whose header is h. It reports
	// whether it did. nil: never.
	// ahead, if set, has answers received ahead of clients that are slow.
	ahead   *spool
	instead func(w http.ResponseWriter, r *http.Request, h http.Header) (bool, error)
}

// forward has the origin answer a request.
func (f *forwarder) forward(x *exchange, w http.ResponseWriter, r *http.Request) error {
	if f.upgrade && x.upgrade != "" {
		r.Header["Connection"] = []string{"Upgrade"}
		r.Header["Upgrade"] = []string{x.upgrade}
	}
	if x.message == nil {
		if err := gather(r); err != nil {
			return err
		}
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
				if !r.ProtoAtLeast(1, 1) { // RFC 9110, section 15.2
					return nil
				}
				return informational(w, status, http.Header(h))
			},
		}))
	}
	r.RequestURI = ""
	resp, err := f.origin.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return tunnel(x, w, resp)
	}
	if resp.StatusCode < 200 {
		return fmt.Errorf("the answer's last word is the status %d", resp.StatusCode)
	}
	dropHopByHop(resp.Header)
	if f.instead != nil {
		if done, err := f.instead(w, r, resp.Header); done {
			return err
		}
	}
	return x.deliver(w, r, resp, f.ahead)
}

// smallBody is how many bytes of a body are received before an origin is asked:
// a slow client then holds no connection to it, and the request can be repeated.
const smallBody = 64 << 10

// gather receives a small body.
func gather(r *http.Request) error {
	if r.Body == nil || r.GetBody != nil || r.ContentLength < 0 || r.ContentLength > smallBody {
		return nil
	}
	data := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, data); err != nil {
		return err
	}
	if n, err := r.Body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return &badRequest{errors.New("the body is longer than its Content-Length")}
	}
	delete(r.Header, "Expect") // it has been met
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	r.Body, _ = r.GetBody()
	return nil
}

// informational passes a 1xx answer on.
func informational(w http.ResponseWriter, status int, fields http.Header) error {
	if status == http.StatusContinue { // the server says that by itself when the body is read
		return nil
	}
	dropHopByHop(fields)
	h := w.Header()
	for name, values := range fields {
		h[name] = values
	}
	w.WriteHeader(status)
	clear(h)
	return nil
}

// deliver brings an origin's answer to the client.
func (x *exchange) deliver(w http.ResponseWriter, r *http.Request, resp *http.Response, ahead *spool) error {
	h := w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	if n := resp.ContentLength; n >= 0 && h["Content-Length"] == nil && r.Method != http.MethodHead && bodyAllowed(resp.StatusCode) {
		h["Content-Length"] = []string{strconv.FormatInt(n, 10)} // though the origin doesn't tell it
	}
	timeout := x.route.cfg.Timeout
	x.setTimeout(timeout)
	bodiless := r.Method == http.MethodHead || !bodyAllowed(resp.StatusCode)
	if ahead != nil && x.message == nil && !bodiless {
		to := newRelay(w, ahead)
		to.head(resp.StatusCode)
		return to.finish(copyBody(to, &timedReader{resp.Body, x, timeout}, streams(resp), to.Flush))
	}
	w.WriteHeader(resp.StatusCode)
	if bodiless {
		return nil
	}
	if to, ok := w.(io.ReaderFrom); ok && x.message != nil {
		_, err := to.ReadFrom(&timedReader{resp.Body, x, timeout})
		return err
	}
	return copyBody(w, &timedReader{resp.Body, x, timeout}, streams(resp), http.NewResponseController(w).Flush)
}

// streams reports whether pieces of an answer are to reach the client as they
// come.
func streams(resp *http.Response) bool {
	if resp.ContentLength < 0 {
		return true
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind == "text/event-stream"
}

// timedReader gives each Read of an answer's body the time that the route
// allows.
type timedReader struct {
	io.Reader
	x       *exchange
	timeout time.Duration
}

func (t *timedReader) Read(p []byte) (int, error) {
	if t.timeout > 0 {
		t.x.setTimeout(t.timeout)
	}
	return t.Reader.Read(p)
}

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyBody copies a body, and tells an origin that broke off from a client that
// left.
func copyBody(w io.Writer, body io.Reader, streams bool, flush func() error) error {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	if streams {
		flush() // the header
	}
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				if errors.As(err, new(*spoolError)) {
					return err
				}
				return fmt.Errorf("%w: %w", errClientGone, err)
			}
			if streams {
				flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
