package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// forwarder hands requests to an origin, and its answers to clients: what all
// kinds of origins have in common.
type forwarder struct {
	origin http.RoundTripper
	// rewrite changes the header of a response for the client. nil: nothing.
	rewrite func(x *exchange, r *http.Request, h http.Header)
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
	upgrade := resp.Header["Upgrade"]
	dropHopByHop(resp.Header)
	if resp.StatusCode == http.StatusUpgradeRequired && upgrade != nil && r.ProtoMajor == 1 { // RFC 9110, section 15.5.22
		resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{strings.Join(upgrade, ", ")}
	}
	if f.rewrite != nil {
		f.rewrite(x, r, resp.Header)
	}
	if f.instead != nil {
		if done, err := f.instead(w, r, resp.Header); done {
			return err
		}
	}
	return x.deliver(w, r, resp, f.ahead)
}

// smallBody is how many bytes of a body are received before the origin is
// connected: a slow client then holds no connection to it, and the request can be
// sent again.
const smallBody = 64 << 10

// gather receives a small body in whole, and of another one the first bytes: a
// client that sends none holds no connection to the origin.
func gather(r *http.Request) error {
	if r.Body == nil || r.GetBody != nil {
		return nil
	}
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		return gatherFirst(r)
	}
	data := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, data); err != nil {
		return err
	}
	if n, err := r.Body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return &badRequest{errors.New("the body is longer than its Content-Length")}
	}
	setBody(r, data)
	return nil
}

// gatherFirst waits for the first bytes of a body, or its end.
func gatherFirst(r *http.Request) error {
	first := make([]byte, 4<<10)
	n, err := 0, error(nil)
	for n == 0 && err == nil {
		n, err = r.Body.Read(first)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case n == 0 && r.ContentLength > 0:
		return &clientBody{io.ErrUnexpectedEOF}
	case n == 0:
		delete(r.Header, "Expect")
		r.Body, r.ContentLength = http.NoBody, 0
		return nil
	}
	delete(r.Header, "Expect") // it has been met
	r.Body = &startedBody{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
	return nil
}

// setBody makes data the body of a request, which can be read again.
func setBody(r *http.Request, data []byte) {
	delete(r.Header, "Expect") // it has been met
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	r.Body, _ = r.GetBody()
}

// startedBody is a body whose first bytes have been read.
type startedBody struct {
	io.Reader
	io.Closer
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
	bodiless := r.Method == http.MethodHead || !bodyAllowed(resp.StatusCode)
	if n := resp.ContentLength; n >= 0 && h["Content-Length"] == nil && !bodiless {
		h["Content-Length"] = []string{strconv.FormatInt(n, 10)} // though the origin doesn't tell it
	}
	if to, ok := x.answer.(reasoned); ok {
		to.SetReason(resp.Status)
	}
	if !bodiless {
		announceTrailer(h, resp)
	}
	body := x.timed(resp.Body)
	if ahead != nil && x.message == nil && !bodiless {
		to := newRelay(w, ahead)
		to.head(resp.StatusCode)
		return to.finish(copyBody(to, body, streams(resp), to.Flush))
	}
	w.WriteHeader(resp.StatusCode)
	if bodiless {
		return nil
	}
	if to, ok := w.(io.ReaderFrom); ok && x.message != nil {
		_, err := to.ReadFrom(body)
		return err
	}
	if err := copyBody(w, body, streams(resp), http.NewResponseController(w).Flush); err != nil {
		return err
	}
	addTrailer(h, resp)
	return nil
}

// reasoned is a response writer that passes the reason phrase on.
type reasoned interface {
	// SetReason sets the status line's code and reason phrase, as in "404 Gone
	// fishing". WriteHeader writes the phrase if its status has that code.
	SetReason(status string)
}

// announceTrailer names the fields that come after the body, as far as the
// origin has named them.
func announceTrailer(h http.Header, resp *http.Response) {
	if len(resp.Trailer) > 0 {
		h["Trailer"] = []string{strings.Join(slices.Sorted(maps.Keys(resp.Trailer)), ", ")}
	}
}

// addTrailer passes on the fields that came after the body (RFC 9110, section
// 6.5). The listener leaves them out where the client's protocol has no place for
// them.
func addTrailer(h http.Header, resp *http.Response) {
	for name, values := range resp.Trailer {
		if len(values) > 0 {
			h[http.TrailerPrefix+name] = values
		}
	}
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
