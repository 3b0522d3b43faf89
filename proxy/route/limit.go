package route

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"strings"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/ratelimit"
	"mkd/proxy/request"
	"mkd/share"
)

// rateLimit is the rate_limit of a route.
type rateLimit struct {
	by    string
	field string // of by: header
	limit *ratelimit.Limit[limitKey]
}

// limitKey is who shares a limit.
type limitKey struct {
	network netip.Prefix
	session megaki.Token
	value   [sha256.Size]byte // of the field
}

func newRateLimit(c *config.RateLimit) *rateLimit {
	return &rateLimit{c.By, http.CanonicalHeaderKey(c.Header), ratelimit.New[limitKey](c.Rate, c.Burst)}
}

// takeLimit returns the rate limit of a route inside of outer: that of the same route
// before, with what clients have used of it, or a new one. rs may be nil.
func (rs *Routes) takeLimit(c *config.Route, outer *route) *rateLimit {
	if rs != nil {
		for _, r := range rs.all {
			if r.cfg.RateLimit != nil && *r.cfg.RateLimit == *c.RateLimit && isSame(r.cfg, c) && (c.Name != "" || isWithin(r.outer, outer)) {
				return r.limits[len(r.limits)-1]
			}
		}
	}
	return newRateLimit(c.RateLimit)
}

// isSame reports whether a route is that of another configuration: it has the same
// name or, without one, matches the same requests.
func isSame(a, b *config.Route) bool {
	return a.Name == b.Name && (a.Name != "" || reflect.DeepEqual(a.Match, b.Match))
}

// isWithin reports whether two routes are the same, and those around them.
func isWithin(a, b *route) bool {
	for a != nil && b != nil {
		if !isSame(a.cfg, b.cfg) {
			return false
		}
		a, b = a.outer, b.outer
	}
	return a == nil && b == nil
}

var errRate = errors.New("the client has passed the route's rate_limit")

// take counts a request, and returns an error of kind TooMany if it is one too
// many.
func (l *rateLimit) take(r *request.Request) error {
	var key limitKey
	switch {
	case l.by == "all":
	case l.by == "session" && r.Session != nil:
		key.session = *r.Session
	case l.by == "header" && !r.Raw && len(r.Header[l.field]) > 0:
		key.value = sha256.Sum256([]byte(strings.Join(r.Header[l.field], "\n")))
	default:
		key.network = share.Network(r.Client.Addr())
	}
	if after := l.limit.Take(key); after > 0 {
		return &request.Error{Kind: request.TooMany, Err: errRate, RetryAfter: after}
	}
	return nil
}
