package route

import (
	"errors"

	"mkd/proxy/request"
	"mkd/share"
)

// inFlight is the max_in_flight of a route, of which each client has its share.
type inFlight struct{ requests *share.Pool }

func newInFlight(most int) *inFlight { return &inFlight{share.NewPool(int64(most), 0)} }

var errInFlight = errors.New("the route has max_in_flight requests in flight, or this client's share of them")

// take counts a request until release, and returns an error of kind Busy if there
// are too many.
func (l *inFlight) take(r *request.Request) (release func(), err error) {
	release, ok := l.requests.TakeFor(r.Counted(), 1)
	if !ok {
		return nil, &request.Error{Kind: request.Busy, Err: errInFlight}
	}
	return release, nil
}
