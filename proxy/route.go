package proxy

import (
	"fmt"
	"slices"
	"time"

	"mkd/config"
)

// route is one of config.yaml's, with its backend.
type route struct {
	name    string         // in logs: its place in the configuration
	payload config.Payload // what it takes: "" is anything but raw
	target  string         // name of the backend
	backend backend
	timeout time.Duration
}

// router holds the routes of one listener; the first that matches wins.
type router struct{ routes []route }

func newRouter(routes []config.Route, listener string, backends map[string]backend) *router {
	r := new(router)
	for i := range routes {
		c := &routes[i]
		if len(c.Match.Listeners) > 0 && !slices.Contains(c.Match.Listeners, listener) {
			continue
		}
		r.routes = append(r.routes, route{
			name:    fmt.Sprintf("routes[%d]", i),
			payload: c.Match.Payload,
			target:  c.Backend,
			backend: backends[c.Backend],
			timeout: c.Timeout,
		})
	}
	return r
}

// find returns the route of a message. A route takes raw messages only if it
// says so.
func (r *router) find(m *message) (*route, error) {
	if m.payload == config.PayloadHTTP && !looksLikeHTTP(m.Body) {
		return nil, errBadRequest
	}
	for i := range r.routes {
		rt := &r.routes[i]
		if rt.payload == m.payload || rt.payload == "" && m.payload == config.PayloadHTTP {
			return rt, nil
		}
	}
	return nil, errNoRoute
}
