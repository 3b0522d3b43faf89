package request

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"mkd/megaki"
	"mkd/proxy/httpmsg"
)

func TestStatus(t *testing.T) {
	large := (&Request{Request: new(http.Request)}).LimitBody(-1)
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 200},
		{Malformed("x"), 400},
		{&httpmsg.Error{Status: 417}, 417},
		{large, 413},
		{&ClientError{os.ErrDeadlineExceeded}, 408},
		{fmt.Errorf("sending the request: %w", &ClientError{os.ErrDeadlineExceeded}), 408},
		{fmt.Errorf("sending the request: %w", &ClientError{large}), 413},
		{&ClientError{io.ErrUnexpectedEOF}, 400},
		{&ClientError{&net.OpError{Op: "read", Err: errors.New("reset")}}, 499},
		{&ClientError{context.Canceled}, 499},
		{&net.DNSError{IsTimeout: true}, 504},
		{&net.DNSError{}, 502},
		{ErrStopping, 503},
		{ErrNoRoute, 404},
		{ErrClientGone, 499},
		{fmt.Errorf("%w: %w", ErrClientGone, errors.New("x")), 499},
		{&megaki.TooLongError{}, 502},
		{context.DeadlineExceeded, 504},
		{context.Canceled, 499},
		{megaki.ErrMemory, 503},
		{errors.New("the server broke off"), 502},
	} {
		if got := Status(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	for k, status := range statuses {
		if status == 0 {
			t.Errorf("kind %d has no status", k)
		}
	}
}

// kept is a response that is kept.
type kept struct {
	header http.Header
	status int
	body   []byte
}

func (k *kept) Header() http.Header            { return k.header }
func (k *kept) WriteHeader(status int)         { k.status = status }
func (k *kept) Write(p []byte) (int, error)    { k.body = append(k.body, p...); return len(p), nil }
func (k *kept) Status() int                    { return k.status }
func (k *kept) Size() int64                    { return int64(len(k.body)) }
func (k *kept) Finish() error                  { return nil }
func (k *kept) Reset() bool                    { return false }
func (k *kept) ChangeHeader(func(http.Header)) {}

// onePage is the page of a status.
type onePage int

func (p onePage) Page(status int) (string, []byte, bool) {
	return "text/html", []byte("page"), status == int(p)
}

// TestRespondError: what a client gets for an error.
func TestRespondError(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		retry  string // Retry-After
		body   string
	}{
		{ErrNoRoute, 404, "", "404 Not Found\n"},
		{Malformed("no colon"), 400, "", "400 Bad Request\n\nno colon\n"},
		{&httpmsg.Error{Status: 431, Reason: "too many fields"}, 431, "", "431 Request Header Fields Too Large\n\ntoo many fields\n"},
		{&megaki.TooLongError{Limit: 1 << 20}, 502, "", "502 Bad Gateway\n\nThe response is longer than the 1MiB that a message may have.\n"},
		{&Error{Kind: Busy, Err: errors.New("x")}, 503, "1", "503 Service Unavailable\n"},
		{&Error{Kind: Down, Err: errors.New("x"), RetryAfter: time.Millisecond}, 503, "1", "503 Service Unavailable\n"},
		{&Error{Kind: Down, Err: errors.New("x"), RetryAfter: 1001 * time.Millisecond}, 503, "2", "503 Service Unavailable\n"},
		{&Error{Kind: TooMany, Err: errors.New("x"), RetryAfter: 5 * time.Second}, 429, "5", "429 Too Many Requests\n"},
		{ErrMaintenance, 503, "60", "503 Service Unavailable\n"},
		{&Error{Kind: Unauthorized, Err: errors.New("x"), Challenge: "Basic"}, 401, "", "401 Unauthorized\n"},
	} {
		w := &kept{header: make(http.Header)}
		RespondError(w, c.err, onePage(999))
		challenge := ""
		if c.status == 401 {
			challenge = "Basic"
		}
		if w.status != c.status || w.header.Get("Retry-After") != c.retry || string(w.body) != c.body || w.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%v: %d %q, %v", c.err, w.status, w.body, w.header)
		}
		if w.header.Get("Content-Type") != "text/plain; charset=utf-8" || w.header.Get("X-Content-Type-Options") != "nosniff" || w.header.Get("Content-Length") != strconv.Itoa(len(c.body)) {
			t.Errorf("%v: %v", c.err, w.header)
		}
		w = &kept{header: make(http.Header)}
		RespondError(w, c.err, onePage(c.status))
		if w.status != c.status || w.header.Get("Retry-After") != c.retry || string(w.body) != "page" || w.header.Get("Content-Type") != "text/html" || w.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%v with a page: %d %q, %v", c.err, w.status, w.body, w.header)
		}
	}
	w := &kept{header: make(http.Header)}
	if RespondText(w, 204, "text"); w.status != 204 || len(w.header) > 0 || w.body != nil {
		t.Errorf("204: %v, %q", w.header, w.body)
	}
}

// TestKindsHaveNames: metrics distinguish the kinds.
func TestKindsHaveNames(t *testing.T) {
	seen := make(map[string]Kind)
	for _, k := range Kinds() {
		if other, known := seen[k.String()]; known || k.String() == "" {
			t.Errorf("kinds %d and %d are named %q", other, k, k)
		}
		seen[k.String()] = k
	}
	if len(seen) != len(statuses) || KindOf(&httpmsg.Error{Status: 405}) != BadRequest {
		t.Errorf("%d kinds, %d statuses", len(seen), len(statuses))
	}
}

// TestStatusesAreDocumented: docs/http.md has a row with the status and the name of each
// kind of error.
func TestStatusesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		row := fmt.Sprintf("(?m)^\\|[^|]*\\b%d\\b[^|]*\\|[^|]*`%v`", statuses[k], k)
		if !regexp.MustCompile(row).Match(page) {
			t.Errorf("docs/http.md has no row with %d and %v", statuses[k], k)
		}
	}
}
