package backend

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"mkd/php"
	"mkd/proxy/balance"
	"mkd/proxy/fastcgi"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
	"mkd/proxy/site"
	"mkd/proxy/upstream"
)

// TestKinds has each backend give the errors of its client package their kinds.
func TestKinds(t *testing.T) {
	ofPHP := new(phpBackend).classify
	ofFastCGI := new(fastcgiBackend).kind
	for _, c := range []struct {
		err  error
		want int
	}{
		{ofPHP(&php.FormError{Status: 413, Err: errors.New("x")}), 413},
		{ofPHP(&php.FormError{Status: 400, Err: errors.New("x")}), 400},
		{ofPHP(&php.FormError{Status: 507, Err: errors.New("x")}), 507},
		{ofPHP(&php.ScriptError{}), 500},
		{ofPHP(&php.WorkerError{Err: errors.New("x")}), 502},
		{ofPHP(php.ErrTimeout), 504},
		{ofPHP(php.ErrQueueFull), 503},
		{ofPHP(php.ErrQueueTimeout), 503},
		{ofPHP(php.ErrClosed), 503},
		{ofPHP(fmt.Errorf("wrapped: %w", php.ErrQueueFull)), 503},
		{ofPHP(&request.ClientError{Err: os.ErrDeadlineExceeded}), 408},
		{ofFastCGI(fastcgi.ErrLengthRequired), 411},
		{ofFastCGI(roundtrip.ErrBusy), 503},
		{ofFastCGI(io.ErrUnexpectedEOF), 502},
		{balanceError(&roundtrip.Error{Err: upstream.ErrQueueFull}), 503},
		{balanceError(&roundtrip.Error{Err: roundtrip.ErrLongHeader}), 431},
		{ofFastCGI(&roundtrip.Error{Err: fmt.Errorf("%w: %w", roundtrip.ErrLongHeader, fastcgi.ErrParam)}), 431},
		{balanceError(&balance.DownError{}), 503},
		{balanceError(&roundtrip.Error{Err: roundtrip.ErrTimeout}), 504},
		{balanceError(&roundtrip.Error{Sent: true, Err: io.ErrUnexpectedEOF}), 502},
		{balanceError(&roundtrip.Error{Err: &request.ClientError{Err: os.ErrDeadlineExceeded}}), 408},
		{forward.SiteError(site.ErrNotFound), 404},
		{forward.SiteError(site.ErrForbidden), 404},
		{forward.SiteError(fmt.Errorf("%w: %w", site.ErrRoot, os.ErrNotExist)), 500},
	} {
		if got := request.Status(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	var e *request.Error
	if err := balanceError(&balance.DownError{RetryAfter: 5 * time.Second}); !errors.As(err, &e) || e.RetryAfter != 5*time.Second {
		t.Errorf("%v: retry after %v", err, e.RetryAfter)
	}
}
