package route

import (
	"net/http"
	"slices"

	"mkd/config"
	"mkd/proxy/request"
)

// headerChanges are changes of header fields, in this order.
type headerChanges struct {
	outer      *headerChanges // of the route around, which apply first; nil: none
	remove     []string
	set, add   []field
	overridden []string // the names of remove and set
	dynamic    bool     // a value has placeholders
}

type field struct {
	name  string
	value *template
}

// newHeaderChanges returns nil if there is nothing to change.
func newHeaderChanges(c *config.HeaderChanges, outer *headerChanges, groups expressions) *headerChanges {
	if len(c.Remove)+len(c.Set)+len(c.Add) == 0 {
		return outer
	}
	h := &headerChanges{outer: outer}
	if outer != nil {
		h.overridden, h.dynamic = slices.Clone(outer.overridden), outer.dynamic
	}
	for _, name := range c.Remove {
		h.remove = append(h.remove, http.CanonicalHeaderKey(name))
		h.overridden = append(h.overridden, http.CanonicalHeaderKey(name))
	}
	for name, value := range c.Set {
		h.set = append(h.set, field{http.CanonicalHeaderKey(name), newTemplate(value, asField, groups)})
		h.overridden = append(h.overridden, http.CanonicalHeaderKey(name))
	}
	for name, value := range c.Add {
		h.add = append(h.add, field{http.CanonicalHeaderKey(name), newTemplate(value, asField, groups)})
	}
	for _, f := range slices.Concat(h.set, h.add) {
		h.dynamic = h.dynamic || f.value.dynamic()
	}
	return h
}

// expand returns the changes for a request: the same ones, unless they have
// placeholders.
func (c *headerChanges) expand(r *request.Request) *headerChanges {
	if c == nil || !c.dynamic {
		return c
	}
	own := *c
	own.outer = c.outer.expand(r)
	own.set, own.add = slices.Clone(c.set), slices.Clone(c.add)
	for _, f := range [][]field{own.set, own.add} {
		for i := range f {
			f[i].value = &template{plain: f[i].value.expand(r)}
		}
	}
	return &own
}

func (c *headerChanges) apply(h http.Header) {
	if c.outer != nil {
		c.outer.apply(h)
	}
	for _, name := range c.remove {
		delete(h, name)
	}
	for _, f := range c.set {
		h[f.name] = []string{f.value.plain}
	}
	for _, f := range c.add {
		h[f.name] = append(h[f.name], f.value.plain)
	}
}

// applyRequest is apply for a request, whose Host isn't in its header. It reports
// whether the Host was set.
func (c *headerChanges) applyRequest(r *http.Request) bool {
	c.apply(r.Header)
	host := r.Header["Host"] // the operator's: oneHost removed the client's
	if host != nil {
		r.Host = host[0]
		delete(r.Header, "Host")
	}
	return host != nil
}
