package forward

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
)

// Origin is what sends a request to a server of a backend.
type Origin interface {
	// Send sends out, which is what is left to send of r, and returns the server's
	// response, whose fields it puts into h. It calls the events.
	Send(r *request.Request, out *http.Request, h http.Header, e roundtrip.Events) (*http.Response, error)
}

// Forwarder sends requests to the servers of a backend, and their responses to
// clients: what all kinds of servers have in common.
type Forwarder struct {
	// Upgrade is whether the servers can change protocols.
	Upgrade bool

	// Rewrite changes the header of a response for the client. nil: nothing.
	Rewrite func(r *request.Request, h http.Header)

	// SendFile serves the files that responses name. nil: none.
	SendFile *SendFile

	// Spool receives small bodies of HTTP requests before a server is connected.
	// nil: the Origin does so.
	Spool *Spool

	// Relay, if set, takes responses as fast as the server sends them, and keeps
	// what a slow client has not read: see type Relay.
	Relay *Spool

	// Logger logs what is odd about responses.
	Logger *slog.Logger
}

// Forward sends a request to an origin, and its response to the client.
func (f *Forwarder) Forward(w request.Response, r *request.Request, to Origin) error {
	h := r.Request
	if f.Upgrade && r.Upgrade != "" {
		h.Header["Connection"] = []string{"Upgrade"}
		h.Header["Upgrade"] = []string{r.Upgrade}
	}
	if !request.IsMessage(w) {
		if f.Spool != nil {
			body, err := gather(f.Spool, r)
			if err != nil {
				return err
			}
			defer body.Close()
		}
	}
	h.RequestURI = ""
	resp, err := to.Send(r, h, w.Header(), &events{f.Logger, w, r})
	if err != nil {
		clear(w.Header()) // a response that fails may have left fields
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if f.Rewrite != nil {
			f.Rewrite(r, resp.Header)
		}
		return tunnel(w, r, resp)
	}
	if resp.StatusCode < 200 {
		return fmt.Errorf("the final response has the status %d", resp.StatusCode)
	}
	header := w.Header() // that of resp; a listener counts its fields before any is removed
	upgrade := header["Upgrade"]
	DropHopByHop(header)
	if resp.StatusCode == http.StatusUpgradeRequired && upgrade != nil && h.ProtoMajor == 1 { // RFC 9110, section 15.5.22
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{strings.Join(upgrade, ", ")}
	}
	if f.Rewrite != nil {
		f.Rewrite(r, header)
	}
	if done, err := f.SendFile.Intercept(w, r, header); done {
		return err
	}
	return f.deliver(w, r, resp)
}

// events handles what happens to a request besides its response.
type events struct {
	logger *slog.Logger
	w      request.Response
	r      *request.Request
}

// Inform implements roundtrip.Events.
func (e *events) Inform(status int, fields http.Header) error {
	return Inform(e.w, e.r, status, fields)
}

// Excess implements roundtrip.Events.
func (e *events) Excess() {
	RequestLog(e.logger, e.r).Warn("the response has more bytes than its Content-Length; the rest is dropped")
}

// RequestLog returns the log of a backend for what it does with a request.
func RequestLog(l *slog.Logger, r *request.Request) *slog.Logger {
	return l.With("client", r.Client.String(), "method", r.Method, "path", logs.Shorten(r.Path, logs.MaxPath), "request_id", r.ID())
}

// Inform passes an informational response (1xx) on, without the fields that the route
// overrides. A message has no room for one, and HTTP/1.0 has none (RFC 9110, section 15.2).
func Inform(w request.Response, r *request.Request, status int, fields http.Header) error {
	if status == http.StatusContinue { // the listener sends that itself when the body is read
		return nil
	}
	if request.IsMessage(w) || !r.ProtoAtLeast(1, 1) {
		return nil
	}
	DropHopByHop(fields)
	delete(fields, "Content-Length") // RFC 9110, section 8.6
	for _, name := range r.Overridden {
		delete(fields, name)
	}
	h := w.Header()
	maps.Copy(h, fields)
	w.WriteHeader(status)
	clear(h)
	return nil
}
