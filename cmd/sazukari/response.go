package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"mkd/megaki/httpclient"
)

// response is an HTTP response that came as a message.
type response struct {
	*http.Response        // its body is read
	head           []byte // with the empty line
	body           []byte
}

// parseResponse reads a message that is exactly one response to a request.
func parseResponse(msg []byte, method string) (*response, error) {
	r, err := httpclient.ParseResponse(msg, &http.Request{Method: method})
	if err != nil {
		if len(msg) > 0 && !bytes.HasPrefix(msg, []byte("HTTP/")) {
			err = fmt.Errorf("%w; 'sazukari send' is for other messages", err)
		}
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	end := []byte("\r\n\r\n")
	return &response{Response: r, head: msg[:bytes.Index(msg, end)+len(end)], body: body}, nil
}

// location returns where a redirect leads.
func (a *response) location() (string, bool) {
	switch a.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		location := a.Header.Get("Location")
		return location, location != ""
	}
	return "", false
}
