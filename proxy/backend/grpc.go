package backend

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mkd/proxy/request"
)

// isGRPC reports whether a request is a call of gRPC.
func isGRPC(r *http.Request) bool {
	return r.ProtoMajor >= 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// Codes of gRPC that a call without a response of its own ends with.
const (
	grpcCancelled         = 1
	grpcDeadlineExceeded  = 4
	grpcResourceExhausted = 8
	grpcUnavailable       = 14
)

// respondGRPC responds to a call that failed with err. Clients of gRPC take an HTTP
// status for less than it means: a call that was too late would seem to be one that
// may be sent again.
func respondGRPC(w request.Response, r *request.Request, err error) {
	code := grpcUnavailable
	switch kind := request.KindOf(err); {
	case overdueGRPC(r.Header.Get("Grpc-Timeout"), time.Since(r.Started)), kind == request.TimedOut:
		code = grpcDeadlineExceeded
	case kind == request.TooLarge, request.Status(err) == http.StatusRequestHeaderFieldsTooLarge:
		code = grpcResourceExhausted
	case kind == request.ClientGone, kind == request.SlowBody, kind == request.BadRequest:
		code = grpcCancelled
	}
	h := w.Header()
	clear(h)
	status := request.Status(err)
	h["Content-Type"] = []string{"application/grpc"}
	h["Grpc-Status"] = []string{strconv.Itoa(code)}
	h["Grpc-Message"] = []string{fmt.Sprintf("%d %s", status, http.StatusText(status))}
	w.WriteHeader(http.StatusOK)
}

// overdueGRPC reports whether the timeout of a call, as its field has it, is over
// after a time.
func overdueGRPC(field string, after time.Duration) bool {
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	if len(field) < 2 || len(field) > 9 {
		return false
	}
	n, err := strconv.ParseUint(field[:len(field)-1], 10, 32)
	unit := units[field[len(field)-1]]
	if err != nil || unit == 0 {
		return false
	}
	return float64(after) >= float64(n)*float64(unit)
}
