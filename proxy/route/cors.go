package route

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mkd/config"
	"mkd/proxy/request"
)

// cors lets pages of other origins read responses.
type cors struct {
	any         bool
	origins     []string // https://*.example.org is for all hosts below
	methods     string
	headers     string
	expose      string
	credentials bool
	maxAge      string
}

// newCORS returns nil if there is nothing to allow.
func newCORS(c *config.CORS) *cors {
	if c == nil {
		return nil
	}
	methods := c.Methods
	if len(methods) == 0 {
		methods = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	}
	return &cors{
		any: slices.Contains(c.Origins, "*"), origins: c.Origins, methods: strings.Join(methods, ", "), headers: strings.Join(c.Headers, ", "),
		expose: strings.Join(c.Expose, ", "), credentials: c.Credentials, maxAge: strconv.Itoa(int(c.MaxAge.Seconds())),
	}
}

// origin returns the Origin of a request if its pages may read the response.
func (c *cors) origin(h http.Header) string {
	lines := h["Origin"]
	if len(lines) != 1 {
		return ""
	}
	origin := lines[0]
	if c.any || slices.ContainsFunc(c.origins, func(o string) bool { return originCovers(o, origin) }) {
		return origin
	}
	return ""
}

func originCovers(allowed, origin string) bool {
	before, after, wild := strings.Cut(allowed, "*")
	if !wild {
		return allowed == origin
	}
	host, ok := strings.CutPrefix(origin, before)
	below := strings.TrimSuffix(host, after)
	return ok && len(below) < len(host) && below != "" && !strings.ContainsAny(below, "/:@")
}

// corsFields are those that only a cors sets.
var corsFields = []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
	"Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Allow-Private-Network", "Access-Control-Max-Age"}

// set sets the fields of a response for an origin, "" if it may not read it.
func (c *cors) set(h http.Header, origin string) {
	for _, name := range corsFields {
		delete(h, name)
	}
	if c.any {
		origin = "*" // also for a request without Origin: a cache may keep its response for a page
	} else {
		h.Add("Vary", "Origin")
	}
	if origin == "" {
		return
	}
	h["Access-Control-Allow-Origin"] = []string{origin}
	if c.credentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
	if c.expose != "" {
		h["Access-Control-Expose-Headers"] = []string{c.expose}
	}
}

// isPreflight reports whether a browser asks what a page may request.
func isPreflight(r *request.Request) bool {
	return !r.Raw && r.Method == http.MethodOptions && r.Header["Origin"] != nil && r.Header["Access-Control-Request-Method"] != nil
}

// preflight responds to a preflight request.
func (c *cors) preflight(w request.Response, r *request.Request) error {
	origin := c.origin(r.Header)
	w.ChangeHeader(func(h http.Header) {
		c.set(h, origin)
		if origin == "" {
			return
		}
		h["Access-Control-Allow-Methods"] = []string{c.methods}
		if c.headers != "" {
			h["Access-Control-Allow-Headers"] = []string{c.headers}
		}
		h["Access-Control-Max-Age"] = []string{c.maxAge}
	})
	w.WriteHeader(http.StatusNoContent)
	return nil
}
