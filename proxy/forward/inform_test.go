package forward

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"mkd/proxy/request"
)

// hinted notes the header of an informational response.
type hinted struct {
	request.Response
	header, sent http.Header
}

func (h *hinted) Header() http.Header { return h.header }
func (h *hinted) WriteHeader(int)     { h.sent = maps.Clone(h.header) }

// TestHintsHaveNoLength: an informational response has no body, and no Content-Length (RFC
// 9110, section 8.6). That of a server reached clients of HTTP/3.
func TestHintsHaveNoLength(t *testing.T) {
	w := &hinted{header: make(http.Header)}
	r := &request.Request{Request: httptest.NewRequest("GET", "/", nil)}
	Inform(w, r, http.StatusEarlyHints, http.Header{"Link": {"</a>"}, "Content-Length": {"7"}})
	if len(w.sent) != 1 || w.sent.Get("Link") != "</a>" || len(w.header) != 0 {
		t.Errorf("sent %q, left %q", w.sent, w.header)
	}
}
