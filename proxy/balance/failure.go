package balance

import (
	"errors"
	"net"

	"mkd/proxy/roundtrip"
)

// failure is what an error of a Transport means.
type failure struct {
	sent      bool // the upstream may have got a part of the request
	responded bool // a byte of a response came
	stale     bool // a kept connection turned out to be closed
	retired   bool // a connection takes no more requests
	blame     blame
}

// connecting reports whether the upstream wasn't reached.
func (f failure) connecting() bool { return !f.sent && !f.responded }

// maxRetired is how many connections of an upstream may turn out to take no more requests.
// With many requests at once, connections that were opened together come to the most that
// the upstream allows on one (keepalive_requests of nginx) together, too.
const maxRetired = 4

// repeats returns how often a request may be sent again to the same upstream.
func (f failure) repeats() int {
	if f.retired {
		return maxRetired
	}
	return 1
}

// blame is whose fault a failure is. A context that has ended is seen without it.
type blame int

const (
	blameUpstream blame = iota // counts against the upstream
	blameNobody                // as for a full queue: another upstream may do better
	blameRequest               // no upstream would do better
)

// classify returns what an error means. A client package reports it by a
// *roundtrip.Error. Of other errors only a dial that failed is known to have sent
// nothing.
func classify(err error) failure {
	e := (*roundtrip.Error)(nil)
	if !errors.As(err, &e) {
		op := (*net.OpError)(nil)
		return failure{sent: !errors.As(err, &op) || op.Op != "dial"}
	}
	f := failure{sent: e.Sent, responded: e.Responded, stale: e.Stale(), retired: errors.Is(err, roundtrip.ErrRetired)}
	switch {
	case errors.Is(err, roundtrip.ErrBusy):
		f = failure{blame: blameNobody} // the request wasn't carried out
	case errors.Is(err, roundtrip.ErrRequest), errors.Is(err, roundtrip.ErrLongHeader), errors.Is(err, roundtrip.ErrBody):
		f.blame = blameRequest
	}
	return f
}
