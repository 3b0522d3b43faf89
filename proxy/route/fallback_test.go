package route

import (
	"net/http"
	"testing"

	"mkd/proxy/request"
)

// failing is a backend that gives an error.
type failing struct {
	err   error
	asked *int
}

// Serve implements request.Backend.
func (f failing) Serve(w request.Response, _ *request.Request) error {
	*f.asked++
	return f.err
}

// TestFallback: the other backend is asked where there is no file, or none for the method, and
// for no other error.
func TestFallback(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		other int
	}{
		{"served", nil, 0},
		{"not found", request.Errorf(request.NotFound, "x"), 1},
		{"method", request.Errorf(request.BadMethod, "x"), 1},
		{"forbidden", request.Errorf(request.Forbidden, "x"), 0},
		{"down", request.Errorf(request.Down, "x"), 0},
		{"aborted", request.ErrAborted, 0},
	} {
		files, other := 0, 0
		f := &fallback{files: failing{c.err, &files}, other: failing{nil, &other}, name: "app"}
		w := &pageWriter{header: http.Header{"Allow": {"GET, HEAD"}}}
		r := new(request.Request)
		err := f.Serve(w, r)
		if files != 1 || other != c.other || (r.Record.Backend == "app") != (c.other == 1) {
			t.Errorf("%s: the files were asked %d times, the other %d times as %q", c.name, files, other, r.Record.Backend)
		}
		if c.other == 0 && err != c.err || c.other == 1 && (err != nil || w.header["Allow"] != nil) {
			t.Errorf("%s: %v, %v", c.name, err, w.header)
		}
	}
}
