package config

import (
	"strings"
	"testing"
)

// TestMistakes has mistakes that people make when they write the file by hand,
// each with the message that it must get. The text of a case is the first section
// of a file whose other sections are right.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a kind's keys beside it", `
listeners:
  app:
    megaki:
    address: ":6363"
    keys: [server.key]
`, `4:5: listeners.app.address: it belongs in megaki; indent this line more than megaki
5:5: listeners.app.keys: it belongs in megaki; indent this line more than megaki`},
		{"a kind beside its name", `
listeners:
  app:
  megaki: {address: ":6363", keys: [server.key]}
`, `3:3: listeners.megaki: it belongs in app; indent this line more than app`},
		{"a name beside its section", `
backends:
site:
  php: {script: app.php}
`, `2:1: site: it belongs in backends; indent this line more than backends`},
		{"workers as a number", `
backends:
  site:
    php: {script: app.php, workers: 4}
`, `3:37: backends.site.php.workers: got the number 4; want keys with values, as in {min: 4, max: 4}`},
		{"redirect as a word", `
routes:
  - redirect: /new
`, `2:15: routes[0].redirect: got "/new"; want keys with values, as in {to: /new}`},
		{"respond as a number", `
routes:
  - respond: 410
`, `2:14: routes[0].respond: got the number 410; want keys with values, as in {status: 410}`},
		{"rate_limit as a number", `
routes:
  - {backend: site, rate_limit: 5}
`, `2:33: routes[0].rate_limit: got the number 5; want keys with values, as in {rate: 5, burst: 50}`},
		{"an upstream as a word", `
backends:
  site: {http: {upstreams: ["http://127.0.0.1:9000"]}}
`, `2:29: backends.site.http.upstreams[0]: got "http://127.0.0.1:9000"; want keys with values, as in {url: http://127.0.0.1:9000}`},
		{"upstreams as a word", `
backends:
  site: {http: {upstreams: "http://127.0.0.1:9000"}}
`, `2:28: backends.site.http.upstreams: got "http://127.0.0.1:9000"; want a list, as in [{url: http://127.0.0.1:9000}]`},
		{"try as a word", `
backends:
  site: {fastcgi: {addresses: ["127.0.0.1:9000"], root: a.dir, try: "{path} {path}/ /index.php"}}
`, `2:69: backends.site.fastcgi.try: got "{path} {path}/ /index.php"; want a list, as in ["{path}", "{path}/", /index.php]`},
		{"try without quotes", `
backends:
  site: {fastcgi: {addresses: ["127.0.0.1:9000"], root: a.dir, try: [{path}, /index.php]}}
`, `2:70: backends.site.fastcgi.try[0]: got a block of keys; want a string; put it in quotes: "{path}"`},
		{"routes without dashes", `
routes:
  match: {paths: [/api/*]}
  backend: site
`, `2:3: routes: got a block of keys; want a list; begin each with "- "`},
		{"a star without quotes", `
routes:
  - match: {paths: [/a, *.php]}
    backend: site
`, `2:25: this isn't YAML: a * begins an alias here; a value that begins with it must be in quotes, as in "*.php"`},
		{"a host's star without quotes", `
routes:
  - match:
      hosts:
        - *.example.org
    backend: site
`, `4:11: this isn't YAML: a * begins an alias here; a value that begins with it must be in quotes, as in "*.example.org"`},
		{"no TLS key", `
listeners:
  web: {https: {address: ":443", tls: {cert: c.pem, key: missing.key}}}
`, `2:58: listeners.web.https.tls.key: missing.key doesn't exist; it is the private key that was made together with the certificate in cert, as by certbot or openssl`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantErrors(t, mistake(c.text), c.want)
		})
	}
}

// mistake returns a whole file that begins with the section text.
func mistake(text string) string {
	text = strings.TrimPrefix(text, "\n")
	section, _, _ := strings.Cut(text, ":")
	for _, line := range []string{
		"listeners: {app: {megaki: {address: ':1', keys: [k]}}}",
		"backends: {site: {php: {script: s.php}}}",
		"routes: [{backend: site}]",
	} {
		if !strings.HasPrefix(line, section+":") {
			text += line + "\n"
		}
	}
	return text
}
