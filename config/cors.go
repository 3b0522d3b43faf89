package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// CORS lets pages of other origins read the responses (the Fetch standard's CORS
// protocol). mkd responds to preflight requests itself, before `auth` and limits; the
// route must match them, whose method is OPTIONS. The fields of the backend for this are replaced.
type CORS struct {
	// Origins whose pages may read, as `https://app.example.org`, or
	// `https://*.example.org` for all hosts below, or `*` for all.
	Origins []string `yaml:"origins,required" format:"origin"`

	// Methods that their requests may have. Default: GET, HEAD and POST.
	Methods []string `yaml:"methods" format:"method"`

	// Fields that their requests may have, besides those that any may have; `*` is all.
	Headers []string `yaml:"headers" format:"cors-field"`

	// Fields of responses that they may read, besides those that any may.
	Expose []string `yaml:"expose" format:"cors-field"`

	// Whether they may send cookies and passwords. Then `origins` can't be `*`.
	Credentials bool `yaml:"credentials" default:"false"`

	// How long browsers remember the response to a preflight request.
	MaxAge time.Duration `yaml:"max_age" default:"10m" range:"0..24h"`
}

func checkOrigin(s string) error {
	if s == "*" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != s || u.User != nil {
		return errors.New("want an origin, as in https://app.example.org, without a path")
	}
	host := strings.TrimPrefix(u.Hostname(), "*.")
	switch {
	case strings.ToLower(s) != s:
		return errors.New("origins are written in lower case: " + strings.ToLower(s))
	case strings.Contains(host, "*"):
		return errors.New("a * is allowed only at the front of the host, as in https://*.example.org")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return errors.New("browsers leave out the port of the scheme; remove it")
	}
	return nil
}

func checkCORSField(s string) error {
	if s == "*" {
		return nil
	}
	return checkChangedField(s)
}

func (w *walker) checkCORS(c *CORS) {
	if c == nil || !w.sound(&c.Origins, &c.Credentials, &c.Headers, &c.Expose) || !c.Credentials {
		return
	}
	if slices.Contains(c.Origins, "*") {
		w.wrong(&c.Credentials, "with credentials, origins can't be *: any page could act as its visitor; list the origins")
	}
	for _, list := range []*[]string{&c.Headers, &c.Expose} {
		if slices.Contains(*list, "*") {
			w.wrong(list, "with credentials, * isn't all fields for browsers; list them")
		}
	}
}
