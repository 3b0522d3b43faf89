package route

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"mkd/config"
	"mkd/proxy/logs"
	"mkd/proxy/request"
)

// pages are the error_pages of a route.
type pages struct {
	sources   map[string]pageSource // by status, as 404 or 5xx
	intercept bool
	logs      *logs.Logs
}

// pageSource is where a page comes from.
type pageSource interface {
	load() (contentType string, content []byte, err error)
}

// newPages returns nil if there are none.
func newPages(c *config.ErrorPages, backend func(name string) request.Backend, l *logs.Logs) *pages {
	if c == nil {
		return nil
	}
	p := &pages{sources: make(map[string]pageSource), intercept: c.Intercept, logs: l}
	for status, path := range c.Pages {
		if c.Backend != "" {
			p.sources[status] = &madePage{backend: backend(c.Backend), path: path}
		} else {
			p.sources[status] = newPage(path, "")
		}
	}
	return p
}

// of returns the page of a status, nil if there is none.
func (p *pages) of(status int) pageSource {
	if source := p.sources[strconv.Itoa(status)]; source != nil {
		return source
	}
	return p.sources[strconv.Itoa(status/100)+"xx"]
}

// Page implements request.Pages.
func (p *pages) Page(status int) (contentType string, body []byte, ok bool) {
	source := p.of(status)
	if source == nil {
		return "", nil, false
	}
	contentType, body, err := source.load()
	if err != nil {
		p.logs.Main.Sugar().Warnw("an error page can't be had", "status", status, "error", err)
		return "", nil, false
	}
	return contentType, body, true
}

// keptFields are those of a response whose body is replaced that still say something;
// Content-Range that of a 416.
var keptFields = []string{"Allow", "Cache-Control", "Content-Range", "Retry-After", "Set-Cookie", "Www-Authenticate"}

// serve calls ask, which responds, and puts a page in place of a response with a status that
// has one.
func (p *pages) serve(w request.Response, ask func(request.Response) error) error {
	in := &interceptor{Response: w, pages: p}
	to := request.Response(in)
	if m, ok := w.(request.Message); ok {
		to = &interceptedMessage{in, m}
	}
	err := ask(to)
	if in.status == 0 {
		return err
	}
	kept := make(http.Header)
	for _, name := range keptFields {
		if lines := w.Header()[name]; lines != nil {
			kept[name] = lines
		}
	}
	if !w.Reset() {
		return request.Errorf(request.Broken, "the response can't be replaced by an error page")
	}
	h := w.Header()
	for name, lines := range kept {
		h[name] = lines
	}
	// Only now: what would make the page may have been busy with the response.
	contentType, body, ok := p.Page(in.status)
	if !ok {
		return request.RespondText(w, in.status, fmt.Sprintf("%d %s\n", in.status, http.StatusText(in.status)))
	}
	h["Content-Type"] = []string{contentType}
	return request.RespondBytes(w, in.status, body)
}

// interceptor is a response that isn't sent if its status has a page.
type interceptor struct {
	request.Response
	pages *pages

	status  int // of the response that is replaced; 0: none is
	begun   bool
	dropped int // bytes
}

// maxDropped is how much of a body is taken that a page replaces, from who doesn't ask
// IsReplaced.
const maxDropped = 256 << 10

var errDropped = errors.New("the response is replaced by an error page")

// Replaces implements request.Replacer.
func (in *interceptor) Replaces(status int) bool {
	return status >= 400 && !in.begun && in.status == 0 && in.pages.of(status) != nil
}

// WriteHeader implements http.ResponseWriter.
func (in *interceptor) WriteHeader(status int) {
	if in.Replaces(status) {
		in.status = status
		return
	}
	if in.begun = in.begun || status >= 200; in.status == 0 {
		in.Response.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (in *interceptor) Write(p []byte) (int, error) {
	if in.status == 0 {
		in.begun = true
		return in.Response.Write(p)
	}
	if in.dropped += len(p); in.dropped > maxDropped {
		return 0, errDropped
	}
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom.
func (in *interceptor) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := in.Response.(io.ReaderFrom); ok && in.status == 0 {
		in.begun = true
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{in}, r)
}

// FlushError is for http.ResponseController.
func (in *interceptor) FlushError() error {
	if in.status != 0 {
		return nil
	}
	return http.NewResponseController(in.Response).Flush()
}

// Unwrap is for http.ResponseController.
func (in *interceptor) Unwrap() http.ResponseWriter { return in.Response }

// SwitchProtocols implements request.Switcher, if the response does.
func (in *interceptor) SwitchProtocols() (net.Conn, io.Reader, error) {
	return request.SwitchProtocols(in.Response)
}

// interceptedMessage is an interceptor of a Message, which it is itself.
type interceptedMessage struct {
	*interceptor
	message request.Message
}

// SetReason implements request.Message.
func (in *interceptedMessage) SetReason(status string) { in.message.SetReason(status) }

// Verbatim implements request.Message.
func (in *interceptedMessage) Verbatim() io.Writer { return in.message.Verbatim() }
