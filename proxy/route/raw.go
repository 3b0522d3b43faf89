package route

import (
	"bytes"
	"io"
	"net/http"
	"net/url"

	"mkd/config"
	"mkd/proxy/request"
)

// requestOfRaw makes a request of a raw message.
func requestOfRaw(r *request.Request, c *config.Raw) error {
	method, target, contentType := http.MethodPost, "/", "application/octet-stream"
	if c != nil {
		method, target, contentType = c.Method, c.Path, c.ContentType
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	message := r.Message
	r.Method, r.URL, r.RequestURI, r.Request.Host = method, u, target, ""
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Header = http.Header{"Content-Type": {contentType}}
	r.ContentLength = int64(len(message))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(message)), nil }
	r.Body, _ = r.GetBody()
	return nil
}
