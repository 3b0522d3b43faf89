package config

import (
	"fmt"
	"iter"
	"reflect"
)

// EachRoute returns all routes, those inside of others after them, with their
// names, as in routes[2].routes[0].
func (c *Config) EachRoute() iter.Seq2[*Route, string] {
	return func(yield func(*Route, string) bool) { eachRoute(c.Routes, "", yield) }
}

func eachRoute(routes []Route, within string, yield func(*Route, string) bool) bool {
	for i := range routes {
		index := fmt.Sprintf("%sroutes[%d]", within, i)
		if !yield(&routes[i], index) || !eachRoute(routes[i].Routes, index+".", yield) {
			return false
		}
	}
	return true
}

// inherited returns the options that the routes inside of a route have from it. Those
// that restrict requests aren't among them: they apply for each route by itself.
func (r *Route) inherited() []any {
	return []any{&r.Raw, &r.Match.Payload, &r.StripPrefix, &r.Rewrite, &r.RawPath, &r.EncodedSlashes, &r.Compress, &r.ErrorPages, &r.CORS, &r.Timeout, &r.MaxBody, &r.AccessLog}
}

// inherit gives the routes inside of others the options that they don't set.
func (w *walker) inherit(routes []Route) {
	for i := range routes {
		outer := &routes[i]
		for j := range outer.Routes {
			from, to := outer.inherited(), outer.Routes[j].inherited()
			for k := range to {
				if w.at(from[k]) == nil || w.at(to[k]) == nil || !w.at(from[k]).given || w.at(to[k]).given {
					continue
				}
				reflect.ValueOf(to[k]).Elem().Set(reflect.ValueOf(from[k]).Elem())
				w.origins[to[k]] = w.origins[from[k]]
			}
		}
		w.inherit(outer.Routes)
	}
}
