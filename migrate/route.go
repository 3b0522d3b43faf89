package migrate

import (
	"reflect"
)

// route is a route of the result.
type route struct {
	comments  []string
	match     match
	action    entry    // backend, redirect or respond
	inside    []*route // in place of it
	options   block
	serves    bool     // it has a backend
	free      []string // networks that pass without auth
	passes    bool     // it gets the action and the options of the route that it guards
	onlyFiles bool     // which has no use for bodies of requests
}

// block returns the route's section.
func (r *route) block() *block {
	b := &block{comments: r.comments}
	if !r.match.empty() {
		b.set("match", r.match.block())
	}
	if len(r.inside) == 0 {
		b.entries = append(b.entries, r.action)
	}
	b.entries = append(b.entries, r.options.entries...)
	if len(r.inside) > 0 {
		list := make([]*block, len(r.inside))
		for i, in := range r.inside {
			list[i] = in.block()
		}
		b.set("routes", list)
	}
	return b
}

// withoutComments returns a copy of a route without its comments and those of the
// routes inside.
func (r *route) withoutComments() *route {
	c := *r
	c.comments, c.inside = nil, nil
	for _, in := range r.inside {
		c.inside = append(c.inside, in.withoutComments())
	}
	return &c
}

// same reports whether two routes do the same with a request.
func (r *route) same(other *route) bool {
	return reflect.DeepEqual(r.action, other.action) && reflect.DeepEqual(r.options.entries, other.options.entries)
}

// lift moves options that all routes have from them to the route around them: those of
// bodies if all routes with a backend have them, others only if all have.
func (r *route) lift(inside []*route) {
	if len(inside) < 2 {
		return
	}
	for _, key := range []string{"headers", "compress", "max_body", "rate_limit", "auth", "error_pages", "access_log"} {
		var common *entry
		servers := 0
		all := true
		for _, in := range inside {
			concerned := in.serves || key != "compress" && key != "max_body" && key != "error_pages"
			if key == "max_body" {
				concerned = concerned && !in.onlyFiles
			}
			if !concerned {
				continue
			}
			servers++
			e := in.options.get(key)
			if e == nil || common != nil && !reflect.DeepEqual(common.value, e.value) {
				all = false
				break
			}
			common = e
		}
		if !all || common == nil || servers < 2 {
			continue
		}
		r.options.entries = append(r.options.entries, *common)
		for _, in := range inside {
			in.options.remove(key)
		}
	}
}

func (b *block) get(key string) *entry {
	for i := range b.entries {
		if b.entries[i].key == key {
			return &b.entries[i]
		}
	}
	return nil
}

func (b *block) remove(key string) {
	for i := range b.entries {
		if b.entries[i].key == key {
			b.entries = append(append([]entry(nil), b.entries[:i]...), b.entries[i+1:]...)
			return
		}
	}
}
