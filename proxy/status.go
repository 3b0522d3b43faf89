package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/php"
	"mkd/proxy/balance"
	"mkd/proxy/fastcgi"
	"mkd/proxy/httpmsg"
	"mkd/proxy/roundtrip"
	"mkd/proxy/site"
)

// Errors of the proxy itself; see statusOf.
var (
	errNoRoute    = errors.New("no route matches")
	errClientGone = errors.New("the client left before its answer was whole")
	errStopping   = errors.New("cut off at the end of shutdown_timeout")
	errAborted    = errors.New("a handler gave the answer up")
)

// errTrace is for TRACE where no route names it.
var errTrace = &httpmsg.Error{Status: http.StatusMethodNotAllowed, Reason: "TRACE isn't served here"}

// panicError says that mkd itself failed.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("a fault in mkd: %v", e.value) }

// badRequest says that a request is wrong in itself.
type badRequest struct{ err error }

func (e *badRequest) Error() string { return "bad request: " + e.err.Error() }
func (e *badRequest) Unwrap() error { return e.err }

// tooLarge says that a request's body passes the max_body of its route.
type tooLarge struct{ limit int64 }

func (e *tooLarge) Error() string {
	return fmt.Sprintf("the request's body has more than the route's max_body, %v", config.Size(e.limit))
}

// tooMany says that a client passed the rate_limit of a route.
type tooMany struct{ after time.Duration }

func (e *tooMany) Error() string { return "more requests than the route's rate_limit" }

// clientBody says that a request's body couldn't be read from the client.
type clientBody struct{ err error }

func (e *clientBody) Error() string { return "reading the request's body: " + e.err.Error() }
func (e *clientBody) Unwrap() error { return e.err }

func (e *clientBody) status() int {
	switch {
	case errors.Is(e.err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	case errors.As(e.err, new(*net.OpError)), errors.Is(e.err, context.Canceled):
		return statusClientGone
	}
	return http.StatusBadRequest // its framing is broken, or it ends too soon
}

// statusClientGone stands in the access log, as in nginx's, for a request whose
// client left before its answer.
const statusClientGone = 499

// statusOf is the HTTP status for how a request ended: the one place that
// decides it.
func statusOf(err error) int {
	var (
		script  *php.ScriptError
		form    *php.FormError
		body    *clientBody
		down    *balance.DownError
		message *httpmsg.Error
	)
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errNoRoute):
		return http.StatusNotFound
	case siteStatus(err) != 0:
		return siteStatus(err)
	case errors.As(err, &message):
		return message.Status
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT): // a body that was being received
		return http.StatusInsufficientStorage
	case errors.As(err, new(*badRequest)):
		return http.StatusBadRequest
	case errors.As(err, new(*tooLarge)):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, new(*tooMany)):
		return http.StatusTooManyRequests
	case errors.Is(err, errStopping):
		return http.StatusServiceUnavailable
	case errors.As(err, &body):
		return body.status()
	case errors.Is(err, errClientGone), errors.Is(err, context.Canceled):
		return statusClientGone
	case errors.As(err, &form):
		return form.Status
	case errors.As(err, &script), errors.As(err, new(*panicError)):
		return http.StatusInternalServerError
	case errors.Is(err, fastcgi.ErrLengthRequired):
		return http.StatusLengthRequired
	case errors.Is(err, errSpoolFull), errors.Is(err, roundtrip.ErrBusy):
		return http.StatusServiceUnavailable
	case errors.As(err, new(*spoolError)):
		return http.StatusInternalServerError
	case errors.Is(err, php.ErrQueueFull), errors.Is(err, php.ErrQueueTimeout), errors.Is(err, php.ErrClosed),
		errors.As(err, &down), errors.As(err, new(*balance.UnreachableError)), errors.Is(err, megaki.ErrMemory):
		return http.StatusServiceUnavailable
	case isTimeout(err):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway // a worker that died, an origin that broke off, an answer over the limit
}

// siteStatus is statusOf for errors of package site, 0 for others.
func siteStatus(err error) int {
	switch {
	case errors.Is(err, site.ErrRoot): // first: it wraps its reason
		return http.StatusInternalServerError
	case errors.Is(err, site.ErrNotFound), errors.Is(err, site.ErrForbidden):
		return http.StatusNotFound // what lies there is nobody's business
	case errors.Is(err, site.ErrMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, site.ErrRange):
		return http.StatusRequestedRangeNotSatisfiable
	case errors.Is(err, site.ErrPrecondition):
		return http.StatusPreconditionFailed
	case errors.Is(err, site.ErrCut):
		return statusClientGone
	}
	return 0
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, php.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// retryAfter is when a client may try again, 0 if that can't be said.
func retryAfter(err error, status int) time.Duration {
	var (
		many *tooMany
		down *balance.DownError
	)
	switch {
	case errors.As(err, &many):
		return many.after
	case errors.As(err, &down):
		return max(down.RetryAfter, time.Second)
	case status == http.StatusServiceUnavailable:
		return time.Second
	}
	return 0
}

// hint is what a client is told of an error besides its status: what it can do
// about it.
func hint(err error) string {
	var (
		bad   *httpmsg.Error
		own   *badRequest
		large *tooLarge
		long  *megaki.TooLongError
		shown *shownError
		form  *php.FormError
	)
	switch {
	case errors.As(err, &bad):
		return bad.Error()
	case errors.As(err, &own):
		return own.err.Error()
	case errors.As(err, &large):
		return fmt.Sprintf("A body may have %v here.", config.Size(large.limit))
	case errors.As(err, &shown):
		return shown.Message
	case errors.As(err, &form):
		return form.Error()
	case errors.As(err, &long):
		return fmt.Sprintf("The answer is longer than the %v that a message may have.", config.Size(long.Limit))
	}
	return ""
}

// answerError answers with the status of an error, and says so in a few words.
func answerError(w answer, err error) {
	status := statusOf(err)
	if after := retryAfter(err, status); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	text := hint(err)
	if text != "" {
		text = "\n" + text + "\n"
	}
	answerText(w, status, fmt.Sprintf("%d %s\n%s", status, http.StatusText(status), text))
}

// answerText answers with a short text.
func answerText(w answer, status int, text string) error {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if !bodyAllowed(status) {
		return nil
	}
	_, err := w.Write([]byte(text))
	return err
}

// bodyAllowed reports whether an answer with a status may have a body (RFC 9110,
// section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
