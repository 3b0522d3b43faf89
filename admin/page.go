package admin

import (
	"embed"
	"net/http"
)

// page is the status page: files that are served as they are.
//
//go:embed page
var page embed.FS

// servePage registers the status page.
func servePage(mux *http.ServeMux) {
	for path, file := range map[string][2]string{
		"GET /{$}":      {"page/index.html", "text/html; charset=utf-8"},
		"GET /page.css": {"page/page.css", "text/css; charset=utf-8"},
		"GET /page.js":  {"page/page.js", "text/javascript; charset=utf-8"},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			data, err := page.ReadFile(file[0])
			if err != nil {
				panic(err) // they are part of the program
			}
			h := w.Header()
			h.Set("Content-Type", file[1])
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cache-Control", "no-cache")
			w.Write(data)
		})
	}
}

// policy lets the page load its own two files and reach this server, and nothing
// else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
