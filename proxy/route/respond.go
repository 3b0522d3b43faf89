package route

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mkd/config"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// redirect sends the client elsewhere.
type redirect struct {
	to     *template
	status int
}

// Serve implements request.Backend.
func (d *redirect) Serve(w request.Response, r *request.Request) error {
	if r.Host == "" && d.to.uses("host") {
		return request.Malformed("the request has no Host, so there is nowhere to redirect it to")
	}
	to := strings.TrimSuffix(d.to.expand(r), "?") // of a query that is empty
	w.Header().Set("Location", to)
	return request.RespondText(w, d.status, fmt.Sprintf("%d %s\n\n%s\n", d.status, http.StatusText(d.status), to))
}

// respond responds with a fixed text.
type respond struct {
	status      int
	body        *template
	contentType string
	page        *page // nil: the body
}

func newRespond(c *config.Respond, groups expressions) *respond {
	d := &respond{status: c.Status, contentType: c.ContentType}
	if c.File != "" {
		d.page = newPage(c.File, c.ContentType)
		return d
	}
	d.body = newTemplate(c.Body, formOf(c.ContentType), groups)
	if c.Body == "" && httpmsg.BodyAllowed(d.status) && d.status != http.StatusResetContent { // RFC 9110, sections 6.4.1 and 15.3.6
		d.body = &template{plain: fmt.Sprintf("%d %s\n", d.status, http.StatusText(d.status))}
	}
	return d
}

// Serve implements request.Backend.
func (d *respond) Serve(w request.Response, r *request.Request) error {
	if d.page != nil {
		return d.page.respond(w, d.status)
	}
	if d.contentType != "" {
		w.Header()["Content-Type"] = []string{d.contentType}
	}
	return request.RespondText(w, d.status, d.body.expand(r))
}

// nothing responds for a route with routes inside, none of which takes the request.
type nothing struct{}

// Serve implements request.Backend.
func (nothing) Serve(request.Response, *request.Request) error { return request.ErrNoRoute }

// toHTTPS redirects every request to the same address at the HTTPS listener with
// a port.
func toHTTPS(port int) *redirect {
	to := "https://{host}"
	if port != 443 {
		to += ":" + strconv.Itoa(port)
	}
	return &redirect{newTemplate(to+"{uri}", asURL, nil), http.StatusPermanentRedirect}
}
