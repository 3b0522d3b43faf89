package roundtrip

import "net/http"

// Idempotent reports whether a request with a method may be sent again though it
// was sent before (RFC 9110, section 9.2.2). An empty method is GET.
func Idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
