package forward

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// deliver sends the response of a server, whose header is that of w, to the client.
func (f *Forwarder) deliver(w request.Response, r *request.Request, resp *http.Response) error {
	h := w.Header()
	bodiless := r.Method == http.MethodHead || !httpmsg.BodyAllowed(resp.StatusCode)
	if n := resp.ContentLength; n >= 0 && h["Content-Length"] == nil && !bodiless {
		h["Content-Length"] = []string{strconv.FormatInt(n, 10)} // though the server's header doesn't say it
	}
	message, whole := w.(request.Message)
	if whole {
		message.SetReason(resp.Status)
	}
	if resp.StatusCode >= 400 && !bodiless && request.IsReplaced(w, resp.StatusCode) {
		w.WriteHeader(resp.StatusCode)
		drop(resp.Body)
		return nil
	}
	if !bodiless {
		announceTrailers(h, resp, r.Overridden)
	}
	body := timed(w, r, resp.Body)
	if f.Relay != nil && !whole && !bodiless {
		to := NewRelay(w, r, f.Relay)
		to.Head(resp.StatusCode)
		if err := to.Finish(copyBody(to, body, flushingOf(resp), to.Flush)); err != nil {
			return err
		}
		setTrailers(h, resp, r.Overridden)
		return nil
	}
	w.WriteHeader(resp.StatusCode)
	if bodiless {
		return nil
	}
	if whole {
		_, err := message.ReadFrom(body)
		return err
	}
	when, flush := flushingOf(resp), noFlush
	if when != flushNever {
		flush = http.NewResponseController(w).Flush
	}
	if err := copyBody(w, body, when, flush); err != nil {
		return err
	}
	setTrailers(h, resp, r.Overridden)
	return nil
}

// Bounds of what is received of a body that isn't sent, so that its connection can be
// used again. Beyond them it is closed: something else waits to be sent.
const (
	dropSize = 256 << 10 // bytes
	dropTime = time.Second
)

// drop receives a body that isn't sent.
func drop(body io.ReadCloser) {
	late := time.AfterFunc(dropTime, func() { body.Close() }) // a Read in flight returns
	defer late.Stop()
	io.CopyN(io.Discard, body, dropSize)
}

// announceTrailers names the fields that come after the body. One that the header has too
// comes unannounced, or a server of HTTP/1 would take the header's for it.
func announceTrailers(h http.Header, resp *http.Response, overridden []string) {
	names := slices.DeleteFunc(trailerNames(resp, overridden), func(name string) bool { return h[name] != nil })
	if len(names) > 0 {
		h["Trailer"] = []string{strings.Join(names, ", ")}
	}
}

// setTrailers sets the fields that came after the body. The listener drops them where
// the client's protocol has no place for them.
func setTrailers(h http.Header, resp *http.Response, overridden []string) {
	for _, name := range trailerNames(resp, overridden) {
		if values := resp.Trailer[name]; len(values) > 0 {
			h[http.TrailerPrefix+name] = values
		}
	}
}

func noFlush() error { return nil }

// trailerNames returns the names of the fields that come after the body (RFC 9110,
// section 6.5), as far as they are known, without those that the route overrides.
func trailerNames(resp *http.Response, overridden []string) []string {
	if len(resp.Trailer) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(resp.Trailer))
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(overridden, name) })
}
