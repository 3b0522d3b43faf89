package request

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/httpmsg"
)

// StatusClientGone is the status in the access log, as in nginx's, of a request
// whose client left before its response.
const StatusClientGone = 499

// statuses is the one table of the statuses of errors.
var statuses = [...]int{
	Broken:          http.StatusBadGateway,
	BadRequest:      http.StatusBadRequest,
	Misdirected:     http.StatusMisdirectedRequest,
	Unauthorized:    http.StatusUnauthorized,
	Forbidden:       http.StatusForbidden,
	NoCertificate:   http.StatusForbidden,
	NoRoute:         http.StatusNotFound,
	NotFound:        http.StatusNotFound,
	BadMethod:       http.StatusMethodNotAllowed,
	SlowBody:        http.StatusRequestTimeout,
	NoLength:        http.StatusLengthRequired,
	FailedCondition: http.StatusPreconditionFailed,
	TooLarge:        http.StatusRequestEntityTooLarge,
	BadRange:        http.StatusRequestedRangeNotSatisfiable,
	TooMany:         http.StatusTooManyRequests,
	ClientGone:      StatusClientGone,
	Failed:          http.StatusInternalServerError,
	Fault:           http.StatusInternalServerError,
	Busy:            http.StatusServiceUnavailable,
	Down:            http.StatusServiceUnavailable,
	Maintenance:     http.StatusServiceUnavailable,
	Stopping:        http.StatusServiceUnavailable,
	TimedOut:        http.StatusGatewayTimeout,
	DiskFull:        http.StatusInsufficientStorage,
}

// Status returns the status of a request that ended with err, which may be nil.
func Status(err error) int {
	var message *httpmsg.Error
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &message): // it has its own
		return message.Status
	}
	return statuses[KindOf(err)]
}

// retryAfter returns when a client may try again, 0 if that isn't known.
func retryAfter(err error, status int) time.Duration {
	var e *Error
	switch {
	case errors.As(err, &e) && e.RetryAfter > 0:
		return max(e.RetryAfter, time.Second)
	case status == http.StatusServiceUnavailable:
		return time.Second
	}
	return 0
}

// hint returns what the response has besides the status.
func hint(err error) string {
	var (
		message *httpmsg.Error
		long    *megaki.TooLongError
		e       *Error
	)
	switch {
	case errors.As(err, &message):
		return message.Error()
	case errors.As(err, &long):
		return fmt.Sprintf("The response is longer than the %v that a message may have.", config.Size(long.Limit))
	case errors.As(err, &e):
		return e.Hint
	}
	return ""
}

// Pages are the bodies of errors.
type Pages interface {
	// Page returns the body for a status, which isn't changed, and false if there is none.
	Page(status int) (contentType string, body []byte, ok bool)
}

// RespondError writes the response to a request that ended with err. pages may be nil.
func RespondError(w Response, err error, pages Pages) {
	status := Status(err)
	if after := retryAfter(err, status); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	var e *Error
	if errors.As(err, &e) && e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	if pages != nil {
		if contentType, body, ok := pages.Page(status); ok {
			w.Header().Set("Content-Type", contentType)
			RespondBytes(w, status, body)
			return
		}
	}
	text := hint(err)
	if text != "" {
		text = "\n" + text + "\n"
	}
	RespondText(w, status, fmt.Sprintf("%d %s\n%s", status, http.StatusText(status), text))
}

// RespondText writes a short text as the response.
func RespondText(w Response, status int, text string) error {
	return RespondBytes(w, status, []byte(text))
}

// RespondBytes writes a text as the response, without a copy: clients that read slowly
// share the memory of one that is the same for all of them.
func RespondBytes(w Response, status int, text []byte) error {
	if !httpmsg.BodyAllowed(status) {
		w.WriteHeader(status) // without the length of a text that isn't sent
		return nil
	}
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	_, err := w.Write(text)
	return err
}
