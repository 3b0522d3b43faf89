package roundtrip

import "net/http"

// Events is called for what happens to one request besides its response.
type Events interface {
	// Inform is called for each informational response (1xx) but 101. An error ends
	// the request.
	Inform(status int, header http.Header) error

	// Excess is called once if the response is followed by bytes beyond its
	// Content-Length. They are dropped, and its connection isn't used again. It is
	// called by Read or Close of the response's body, or by the call that returns
	// the response.
	Excess()
}

// NoEvents are Events that do nothing.
var NoEvents Events = noEvents{}

type noEvents struct{}

func (noEvents) Inform(int, http.Header) error { return nil }
func (noEvents) Excess()                       {}
