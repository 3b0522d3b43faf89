package backend

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"mkd/proxy/forward"
	"mkd/proxy/request"
)

// phpResponse passes the response of an on_http on to the client, under the
// route's timeout: through a relay, or straight into a Megaki message.
type phpResponse struct {
	w        request.Response
	r        *request.Request
	clock    forward.Clock
	relay    *forward.Relay // nil: the client gets a message
	sendFile *forward.SendFile
	live     *liveReload // nil: pages aren't loaded anew
	script   string      // the end of a page; empty: none
	file     http.Header // names a file that replaces the response; nil: none does
}

// errReplaced stops a script whose response is replaced by a file.
var errReplaced = errors.New("a file replaces the response")

// EarlyHints implements php.ResponseWriter.
func (p *phpResponse) EarlyHints(header http.Header) error {
	return forward.Inform(p.w, p.r, http.StatusEarlyHints, header)
}

// Head implements php.ResponseWriter.
func (p *phpResponse) Head(status int, header http.Header, length int64) error {
	if p.sendFile.Names(header) {
		p.file = header
		return errReplaced
	}
	if p.live != nil && isPage(p.r, status, header) {
		p.script = p.live.script()
		if length >= 0 {
			length += int64(len(p.script))
		}
	}
	h := p.w.Header()
	for name, values := range header {
		h[name] = values
	}
	if length >= 0 && status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	if p.relay != nil {
		p.relay.Head(status)
	} else {
		p.w.WriteHeader(status)
	}
	p.clock = forward.NewClock(p.w, p.r)
	return nil
}

// Write implements php.ResponseWriter.
func (p *phpResponse) Write(b []byte) (int, error) {
	p.clock.Arrived()
	defer p.clock.Await()
	if p.relay != nil {
		return p.relay.Write(b)
	}
	return p.w.Write(b)
}

// Flush implements php.ResponseWriter.
func (p *phpResponse) Flush() error {
	if p.relay != nil {
		return p.relay.Flush()
	}
	return nil
}

// finish completes the response. err is why the script failed, if it did.
func (p *phpResponse) finish(err error) error {
	if p.file != nil && errors.Is(err, errReplaced) {
		_, err = p.sendFile.Intercept(p.w, p.r, p.file)
		return err
	}
	if p.script != "" && err == nil {
		_, err = io.WriteString(p, p.script)
	}
	if p.relay != nil {
		return p.relay.Finish(err)
	}
	return err
}
