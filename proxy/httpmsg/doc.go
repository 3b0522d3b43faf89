// Package httpmsg reads HTTP/1.x requests that come whole, as one message, and
// normalises what requests are routed by: paths and hosts.
//
// ParseRequest is strict. A message is exactly one request (RFC 9112), framed
// in one way only, and what two servers could read in two ways is refused: no
// backend behind ParseRequest sees a second request hidden in the first. What
// it takes, net/http takes too, and for the same request.
//
// CleanPath and CleanHost give paths and hosts one form, for requests of every
// origin. Routing and forwarding use that form alone, so that a backend never
// sees another path than the one that was matched.
package httpmsg
