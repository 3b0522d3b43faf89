package config

import "testing"

func TestErrorPageErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"none", "[{error_pages: {}, backend: site}]", "4:11: routes[0].error_pages.pages: the key is missing, and must be given"},
		{"no error", "[{error_pages: {pages: {200: k}}, backend: site}]", "4:33: routes[0].error_pages.pages.200: want a status from 400 to 599, or 4xx or 5xx"},
		{"no file", "[{error_pages: {pages: {404: missing.html}}, backend: site}]", "4:32: routes[0].error_pages.pages: the page of 404: can't read missing.html; relative paths start at the folder of the configuration file"},
		{"no backend", "[{error_pages: {pages: {404: /e}, backend: none}, backend: site}]", "4:52: routes[0].error_pages.backend: there is no backend \"none\"; known here: site"},
		{"no path", "[{error_pages: {pages: {404: e.html}, backend: site}, backend: site}]", "4:32: routes[0].error_pages.pages: the page of 404: e.html isn't a path; with backend, pages are paths that begin with /"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, routes(c.text), c.want) })
	}
}
