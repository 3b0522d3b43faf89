package request

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"

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
