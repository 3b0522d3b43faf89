package route

import (
	"net/http"
	"net/url"

	"mkd/config"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// rawRequest is the request that a route makes of raw messages.
type rawRequest struct {
	method, target, contentType string
	url                         *url.URL // of target
}

func newRawRequest(c *config.Raw) *rawRequest {
	raw := &rawRequest{method: http.MethodPost, target: "/", contentType: "application/octet-stream"}
	if c != nil {
		raw.method, raw.target, raw.contentType = c.Method, c.Path, c.ContentType
	}
	raw.url, _ = url.ParseRequestURI(raw.target) // checked with the configuration
	return raw
}

// make makes a request of a raw message.
func (c *rawRequest) make(r *request.Request) {
	u := *c.url // the route may change it
	r.Method, r.URL, r.RequestURI, r.Request.Host = c.method, &u, c.target, ""
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.SetField("Content-Type", c.contentType)
	httpmsg.SetBody(r.Request, r.Message)
}
