package route

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mkd/proxy/request"
)

// redirect sends the client elsewhere.
type redirect struct {
	to     string
	status int
}

// Serve implements request.Backend.
func (d *redirect) Serve(w request.Response, r *request.Request) error {
	if r.Host == "" && strings.Contains(d.to, "{host}") {
		return request.Malformed("the request has no Host, so there is nowhere to redirect it to")
	}
	to := strings.NewReplacer("{host}", r.Host, "{path}", r.URL.EscapedPath(), "{uri}", r.URL.RequestURI()).Replace(d.to)
	w.Header().Set("Location", to)
	return request.RespondText(w, d.status, fmt.Sprintf("%d %s\n\n%s\n", d.status, http.StatusText(d.status), to))
}

// respond responds with a fixed text.
type respond struct {
	status int
	body   string
}

// Serve implements request.Backend.
func (d *respond) Serve(w request.Response, r *request.Request) error {
	body := d.body
	if body == "" {
		body = fmt.Sprintf("%d %s\n", d.status, http.StatusText(d.status))
	}
	return request.RespondText(w, d.status, body)
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
	return &redirect{to + "{uri}", http.StatusPermanentRedirect}
}
