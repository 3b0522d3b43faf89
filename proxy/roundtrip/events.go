package roundtrip

import "net/http"

// Events are called for what happens to one request besides its response. A nil
// function isn't called.
type Events struct {
	// Inform is called for each informational response (1xx) but 101. An error ends
	// the request.
	Inform func(status int, header http.Header) error

	// Excess is called once if the response is followed by bytes beyond its
	// Content-Length. They are dropped, and its connection isn't used again. It is
	// called by Read or Close of the response's body, or by the call that returns
	// the response.
	Excess func()
}
