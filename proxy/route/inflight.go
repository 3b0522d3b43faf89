package route

import (
	"errors"
	"sync/atomic"

	"mkd/proxy/request"
)

// inFlight is the max_in_flight of a route.
type inFlight struct {
	most int64
	n    atomic.Int64
}

var errInFlight = errors.New("the route has max_in_flight requests in flight")

// take counts a request until release, and returns an error of kind Busy if there
// are too many.
func (l *inFlight) take() error {
	if l.n.Add(1) > l.most {
		l.release()
		return &request.Error{Kind: request.Busy, Err: errInFlight}
	}
	return nil
}

func (l *inFlight) release() { l.n.Add(-1) }
