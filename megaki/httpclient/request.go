package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"mkd/httpfield"
	"mkd/megaki"
)

// check refuses a request that a message can't carry, and what http.Request's
// Write would change or drop without an error.
func check(r *http.Request) error {
	switch {
	case r.URL == nil:
		return &RequestError{errors.New("it has no URL")}
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return &RequestError{fmt.Errorf("the scheme is %q: want http or https", r.URL.Scheme)}
	case r.Host == "" && r.URL.Host == "":
		return &RequestError{errors.New("its URL has no host")}
	case !isTarget(r.URL.RequestURI(), r.URL.Scheme):
		return &RequestError{fmt.Errorf("its path is %q: want a slash first, and no spaces", r.URL.RequestURI())}
	case r.Method == http.MethodConnect:
		return &UnsupportedError{"CONNECT"}
	case r.Method != "" && !httpfield.IsToken(r.Method): // "" is GET
		return &RequestError{fmt.Errorf("the method is %q: want one word", r.Method)}
	case len(r.Trailer) > 0:
		return &UnsupportedError{"a request with trailers"}
	}
	for name, values := range r.Header {
		if !httpfield.IsToken(name) {
			return &RequestError{fmt.Errorf("the name of a field is %q: want letters, digits and hyphens", name)}
		}
		if strings.EqualFold(name, "Upgrade") {
			return &UnsupportedError{fmt.Sprintf("an upgrade to %q", strings.Join(values, ", "))}
		}
		for _, v := range values {
			if !httpfield.IsValue(v) {
				return &RequestError{fmt.Errorf("the field %s has a control character", name)}
			}
		}
	}
	return nil
}

// isTarget reports whether a request may have the target: a path, a URL, or *
// (RFC 9112, section 3.2).
func isTarget(target, scheme string) bool {
	if strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return false
	}
	return target == "*" || strings.HasPrefix(target, "/") || strings.HasPrefix(target, scheme+"://")
}

// ofConnection are the fields that concern a connection, which a message
// doesn't have. Expect is one of them: the body is already here.
var ofConnection = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Expect"}

// encode returns a request as a message of at most limit bytes.
func encode(r *http.Request, body *requestBody, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, &megaki.TooLongError{Length: r.ContentLength, Limit: limit}
	}
	content, err := body.readAll(r.Context(), limit)
	switch {
	case err != nil:
		return nil, err
	case r.ContentLength > 0 && r.ContentLength != int64(len(content)):
		return nil, fmt.Errorf("its body has %d bytes, and its ContentLength is %d", len(content), r.ContentLength)
	}
	out := &http.Request{
		Method: r.Method, URL: r.URL, Host: r.Host, Header: make(http.Header, len(r.Header)),
		Body: http.NoBody,
	}
	for name, values := range r.Header {
		// Write leaves out Content-Length and the like only under these names.
		name = http.CanonicalHeaderKey(name)
		if !slices.Contains(ofConnection, name) {
			out.Header[name] = append(out.Header[name], values...)
		}
	}
	if len(content) > 0 {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	}
	var message bytes.Buffer
	message.Grow(len(content) + 1024)
	if err := out.Write(&message); err != nil {
		return nil, err
	}
	if message.Len() > limit {
		return nil, &megaki.TooLongError{Length: int64(message.Len()), Limit: limit}
	}
	return message.Bytes(), nil
}

// requestBody is the body of a request, which is closed once.
type requestBody struct {
	io.ReadCloser // may be nil
	once          sync.Once
}

// Close implements io.Closer.
func (b *requestBody) Close() (err error) {
	if b.ReadCloser != nil {
		b.once.Do(func() { err = b.ReadCloser.Close() })
	}
	return err
}

// readAll reads a body of at most limit bytes. When the context ends first, it
// closes the body, which ends the reading.
func (b *requestBody) readAll(ctx context.Context, limit int) ([]byte, error) {
	if b.ReadCloser == nil || b.ReadCloser == http.NoBody {
		return nil, nil
	}
	stop := context.AfterFunc(ctx, func() { b.Close() })
	content, err := io.ReadAll(io.LimitReader(b.ReadCloser, int64(limit)+1))
	stop()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("reading its body: %w", err)
	case len(content) > limit:
		return nil, &megaki.TooLongError{Length: int64(len(content)), Limit: limit}
	}
	return content, nil
}
