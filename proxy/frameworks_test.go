//go:build linux

package proxy

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// frameworkRequest is a request to an application.
type frameworkRequest struct {
	method, target string
	header         http.Header
	body           string
}

// frameworkApps are the applications of examples, with the front controller that
// PHP-FPM runs them by, and the requests that are compared.
var frameworkApps = map[string]struct {
	front    string // without the opening tag
	requests []frameworkRequest
}{
	"symfony": {
		front: `require 'EXAMPLE/autoload.php';
			require 'EXAMPLE/Kernel.php';
			$kernel = new App\Kernel('prod', false);
			$request = Symfony\Component\HttpFoundation\Request::createFromGlobals();
			$response = $kernel->handle($request);
			$response->send();
			$kernel->terminate($request, $response);`,
		requests: []frameworkRequest{
			{"GET", "/hello/Ada", nil, ""},
			{"HEAD", "/hello/Ada", nil, ""},
			{"GET", "/hello/%C3%84rger%20%25", nil, ""},
			{"POST", "/hello/Ada", nil, ""},
			{"GET", "/echo?a=1&b[]=2&b[]=3&c[x]=4", nil, ""},
			{"GET", "/echo", http.Header{"Cookie": {"a=b; c=d%20e"}}, ""},
			{"GET", "/echo", http.Header{"X-Requested-With": {"XMLHttpRequest"}}, ""},
			{"GET", "/echo", http.Header{"Authorization": {"Basic YWRhOnNlY3JldA=="}}, ""},
			{"POST", "/echo?q=1", urlencoded, "a=1&b[x]=2&c=%C3%A4+%2B"},
			{"PUT", "/echo", urlencoded, "a=1&b[x]=2"},
			{"PATCH", "/echo", urlencoded, "a=2"},
			{"DELETE", "/echo", urlencoded, "a=3"},
			{"POST", "/echo", urlencoded, "_method=PUT&a=4"},
			{"PUT", "/echo", http.Header{"Content-Type": {"application/json"}}, `{"a":1}`},
			{"POST", "/echo", http.Header{"Content-Type": {"text/plain"}}, strings.Repeat("long body\n", 100_000)},
			{"OPTIONS", "/echo", nil, ""},
			formRequest("/upload", "name=Ada", "file:a b.txt=the content"),
			formRequest("/upload", "docs[]:one.txt=1", "docs[]:two.txt=2", "docs[]:="),
			formRequest("/upload", "file:=", "x[y][z]=deep"),
			{"GET", "/upload", nil, ""},
			{"GET", "/download", nil, ""},
			{"HEAD", "/download", nil, ""},
			{"GET", "/download", http.Header{"Range": {"bytes=0-9"}}, ""},
			{"GET", "/download", http.Header{"Range": {"bytes=-5"}}, ""},
			{"GET", "/download", http.Header{"Range": {"bytes=999999-"}}, ""},
			{"GET", "/stream", nil, ""},
			{"HEAD", "/stream", nil, ""},
			{"GET", "/cookies", nil, ""},
			{"GET", "/redirect", nil, ""},
			{"GET", "/cached", nil, ""},
			{"GET", "/cached", http.Header{"If-None-Match": {`"v1"`}}, ""},
			{"GET", "/basket/tea", nil, ""},
			{"GET", "/basket/coffee", nil, ""},
			{"GET", "/broken", nil, ""},
			{"GET", "/late", nil, ""},
			{"GET", "/nowhere", nil, ""},
			{"GET", "/echo/", nil, ""}, // redirects
			{"GET", "/hello/a+b%2Bc;d", nil, ""},
			{"POST", "/echo", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "X-Http-Method-Override": {"DELETE"}}, "a=5"},
			{"GET", "/download", http.Header{"Range": {"bytes=0-9"}, "If-Range": {`"old"`}}, ""},
			{"GET", "/download", http.Header{"If-Modified-Since": {"Fri, 01 Jan 2100 00:00:00 GMT"}}, ""},
			{"GET", "/cached", http.Header{"If-None-Match": {`"v0"`}}, ""},
			{"HEAD", "/cached", nil, ""},
			{"HEAD", "/nowhere", nil, ""},
			formRequest("/upload", "file:large.bin="+strings.Repeat("0123456789", 100_000)),
		},
	},
	"laravel": {
		front: `$app = require 'EXAMPLE/bootstrap/app.php';
			$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
			$request = Illuminate\Http\Request::capture();
			$response = $kernel->handle($request);
			$response->send();
			$kernel->terminate($request, $response);`,
		requests: []frameworkRequest{
			{"GET", "/hello/Ada", nil, ""},
			{"HEAD", "/hello/Ada", nil, ""},
			{"GET", "/hello/%C3%84rger%20%3Cb%3E", nil, ""},
			{"POST", "/hello/Ada", nil, ""},
			{"OPTIONS", "/hello/Ada", nil, ""},
			{"GET", "/echo?a=1&b[]=2&b[]=3&c[x]=%20", nil, ""},
			{"GET", "/echo/?a=1", nil, ""},
			{"GET", "/echo", http.Header{"Cookie": {"a=b; c=d%20e"}}, ""},
			{"GET", "/echo", http.Header{"X-Requested-With": {"XMLHttpRequest"}}, ""},
			{"GET", "/echo", http.Header{"Authorization": {"Basic YWRhOnNlY3JldA=="}}, ""},
			{"POST", "/echo?q=1", urlencoded, "a=1&b[x]=2&c=%C3%A4+%2B"},
			{"PUT", "/echo", urlencoded, "a=1&b[x]=2"},
			{"PATCH", "/echo", urlencoded, "a=2"},
			{"DELETE", "/echo", urlencoded, "a=3"},
			{"POST", "/echo", urlencoded, "_method=PUT&a=4"},
			{"POST", "/echo", http.Header{"Content-Type": {"application/json"}}, `{"a":{"b":[1]}}`},
			{"PUT", "/echo", http.Header{"Content-Type": {"application/json"}}, `{"a":1}`},
			{"POST", "/echo", http.Header{"Content-Type": {"text/plain"}}, strings.Repeat("long body\n", 100_000)},
			formRequest("/upload", "name=Ada", "file:a b.txt=the content"),
			formRequest("/upload", "docs[]:one.txt=1", "docs[]:two.txt=2", "docs[]:="),
			formRequest("/upload", "file:=", "x[y][z]=deep"),
			{"GET", "/upload", nil, ""},
			{"GET", "/download", nil, ""},
			{"HEAD", "/download", nil, ""},
			{"GET", "/download", http.Header{"Range": {"bytes=0-9"}}, ""},
			{"GET", "/download", http.Header{"Range": {"bytes=-5"}}, ""},
			{"GET", "/download", http.Header{"Range": {"bytes=999999-"}}, ""},
			{"GET", "/stream", nil, ""},
			{"HEAD", "/stream", nil, ""},
			{"GET", "/cookies", nil, ""},
			{"GET", "/old", nil, ""},
			{"GET", "/cached", nil, ""},
			{"GET", "/cached", http.Header{"If-None-Match": {`"7e8853a8645f6d6926df9a789efad80f"`}}, ""},
			{"GET", "/late", nil, ""},
			{"GET", "/teapot", nil, ""},
			{"GET", "/broken", nil, ""},
			{"GET", "/broken", http.Header{"Accept": {"application/json"}}, ""},
			{"POST", "/checked", http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, `{"name":"too long a name","age":"x"}`},
			{"POST", "/checked", http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, `{"name":"Ada","age":36}`},
			{"POST", "/login", urlencoded, "name=Ada"}, // without a token
			{"GET", "/nowhere", nil, ""},
		},
	},
	"slim": {
		front: `require 'EXAMPLE/autoload.php';
			(require 'EXAMPLE/application.php')->run();`,
		requests: []frameworkRequest{
			{"GET", "/hello/Ada", nil, ""},
			{"HEAD", "/hello/Ada", nil, ""},
			{"POST", "/hello/Ada", nil, ""},
			{"GET", "/search?a=1&b[]=2&b[x]=3", http.Header{"Accept": {"text/html"}, "Cookie": {"a=b; c=d"}}, ""},
			{"POST", "/form", urlencoded, "a=1&b[x]=2"},
			{"POST", "/form", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}}, ""},
			formRequest("/form", "name=Ada", "file:a b.txt=the content"),
			{"PUT", "/items/7", http.Header{"Content-Type": {"text/plain"}}, "text"},
			{"DELETE", "/items/7", nil, ""},
			{"GET", "/moved", nil, ""},
			{"GET", "/empty", nil, ""},
			{"GET", "/long", nil, ""},
			{"HEAD", "/long", nil, ""},
			{"GET", "/nowhere", nil, ""},
			{"HEAD", "/nowhere", nil, ""},
			{"GET", "/hello/Ada/", nil, ""},
			{"GET", "/hello/%C3%84rger%20%25", nil, ""},
			{"GET", "/hello/a+b%2Bc;d", nil, ""},
			{"GET", "/search?a=%C3%A4+b%2B&empty&=none&a.b=1&c%5Bd%5D%5B%5D=2", nil, ""},
			{"GET", "/search?a=1&a=2", http.Header{"Accept": {"text/html;q=0.5", "application/json"}}, ""},
			{"GET", "/search", http.Header{"Cookie": {"a=b%20c; a=second; x="}}, ""},
			{"OPTIONS", "/items/7", nil, ""},
			{"PATCH", "/items/7", urlencoded, "a=1&b[x]=2"},
			{"PUT", "/items/7", urlencoded, "a=%C3%A4+%2B&b[]=1&b[]=2"},
			{"DELETE", "/items/7", urlencoded, "a=3"},
			{"PUT", "/items/7", http.Header{"Content-Type": {"application/json"}}, `{"a":{"b":[1]}}`},
			{"PATCH", "/items/7", http.Header{"Content-Type": {"application/octet-stream"}}, strings.Repeat("\x00\xff\r\n", 250_000)},
			{"POST", "/items/7", urlencoded, "a=4"}, // 405
			{"POST", "/form", http.Header{"Content-Type": {"application/json"}}, `{"a":{"b":[1,null,"\u00e4"]}}`},
			{"POST", "/form", http.Header{"Content-Type": {"text/plain"}}, "a=1"},
			{"POST", "/form", urlencoded, "a=" + strings.Repeat("x", 500_000)},
			formRequest("/form", "x[y][z]=deep", "x[y][w]=", "one:1.txt=1", "two:2.txt="),
			formRequest("/form", "file:="),
			formRequest("/form", "file:large.bin="+strings.Repeat("0123456789", 100_000)),
			{"HEAD", "/moved", nil, ""},
			{"GET", "/agreed", http.Header{"Accept": {"text/html"}}, ""},
			{"GET", "/agreed", http.Header{"Accept": {"application/json"}, "Accept-Language": {"de, en;q=0.5"}}, ""},
			{"GET", "/agreed", http.Header{"If-None-Match": {`"v1"`}}, ""},
			{"GET", "/agreed", http.Header{"Authorization": {"Basic YWRhOnNlY3JldA=="}}, ""},
			{"GET", "/agreed", http.Header{"Accept-Language": {"de", "en"}}, ""},
			{"GET", "/file", nil, ""},
			{"HEAD", "/file", nil, ""},
			{"GET", "/stream", nil, ""},
			{"HEAD", "/stream", nil, ""},
			{"GET", "/down", nil, ""},
		},
	},
}

var urlencoded = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

// formRequest returns a request with a form: NAME=VALUE, and NAME:FILE=CONTENT.
func formRequest(target string, parts ...string) frameworkRequest {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.SetBoundary("boundary")
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		field, file, isFile := strings.Cut(name, ":")
		var p io.Writer
		if isFile {
			p, _ = w.CreateFormFile(field, file)
		} else {
			p, _ = w.CreateFormField(field)
		}
		io.WriteString(p, value)
	}
	w.Close()
	return frameworkRequest{"POST", target, http.Header{"Content-Type": {w.FormDataContentType()}}, b.String()}
}

// TestFrameworksAsOnFPM sends the same requests to applications in workers and on
// PHP-FPM, by HTTP and by Megaki, and compares the responses.
func TestFrameworksAsOnFPM(t *testing.T) {
	for name, app := range frameworkApps {
		t.Run(name, func(t *testing.T) {
			worker, fpm := startFramework(t, name, app.front)
			for _, c := range app.requests {
				for way, ask := range frameworkWays {
					got, want := ask(t, worker, c), ask(t, fpm, c)
					if diff := differences(got, want); diff != "" || want.status == 502 {
						t.Errorf("%s %s %s:%s", c.method, c.target, way, diff)
					}
				}
			}
			if name == "symfony" {
				compareSessions(t, worker, fpm)
			}
		})
	}
}

// startFramework starts an example's application in workers, and on PHP-FPM.
func startFramework(t *testing.T, name, front string) (worker, fpm *Daemon) {
	example, err := filepath.Abs("../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	err = fs.WalkDir(os.DirFS(example), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".php") {
			return err
		}
		content, err := os.ReadFile(filepath.Join(example, path))
		files["../"+path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f := startFPM(t, 1, files, "env[APP_VAR] = /tmp", "php_admin_value[expose_php] = 0")
	f.Write(t, "public/index.php", "<?php\n"+strings.ReplaceAll(front, "EXAMPLE", f.dir))
	f.Stop() // its environment is known only now
	conf, err := os.ReadFile(filepath.Join(f.dir, "conf"))
	if err != nil {
		t.Fatal(err)
	}
	f.Write(t, "conf", strings.ReplaceAll(string(conf), "env[APP_VAR] = /tmp", "env[APP_VAR] = "+f.dir+"/var"))
	f.Start(t)
	const listeners = `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], payload: http}}
  web: {http: {address: "127.0.0.1:0"}}
routes:
  - backend: site
backends:
  site: `
	worker, _ = start(t, load(t, listeners+`{php: {script: `+filepath.Join(f.dir, "app.php")+`, workers: {min: 1, max: 1}, env: {APP_VAR: `+t.TempDir()+`}}}`))
	fpm, _ = start(t, load(t, listeners+`{fastcgi: {addresses: ["unix:`+f.Address+`"], root: `+f.public+`, try: ["{path}", /index.php]}}`))
	return worker, fpm
}

// frameworkWays are the ways of a request to an application.
var frameworkWays = map[string]func(*testing.T, *Daemon, frameworkRequest) exchanged{
	"by HTTP": func(t *testing.T, p *Daemon, c frameworkRequest) exchanged {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+p.Addr("web").String()+c.target, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header, r.Host = c.fields(), "localhost"
		resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.target, err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.target, err)
		}
		return exchanged{status: resp.StatusCode, header: resp.Header, body: string(data)}
	},
	"by Megaki": func(t *testing.T, p *Daemon, c frameworkRequest) exchanged {
		var m bytes.Buffer
		fmt.Fprintf(&m, "%s %s HTTP/1.1\r\nHost: localhost\r\n", c.method, c.target)
		c.fields().Write(&m)
		fmt.Fprintf(&m, "Content-Length: %d\r\n\r\n%s", len(c.body), c.body)
		message, err := client(t, p, "app").Send(t.Context(), m.Bytes())
		if err != nil {
			t.Fatalf("%s %s by Megaki: %v", c.method, c.target, err)
		}
		resp, text := parseResponse(t, message, c.method)
		return exchanged{status: resp.StatusCode, header: resp.Header, body: text}
	},
}

func (c *frameworkRequest) fields() http.Header {
	header := http.Header{"User-Agent": {"test"}}
	maps.Copy(header, c.header)
	return header
}

// differences returns what differs between two responses, but for times and framing.
func differences(got, want exchanged) string {
	var d strings.Builder
	if got.status != want.status {
		fmt.Fprintf(&d, "\n\tstatus %d, want %d", got.status, want.status)
	}
	if got.body != want.body {
		at := 0
		for at < min(len(got.body), len(want.body)) && got.body[at] == want.body[at] {
			at++
		}
		fmt.Fprintf(&d, "\n\tbody differs at %d: %.100q, want %.100q", at, got.body[at:], want.body[at:])
	}
	names := slices.Collect(maps.Keys(got.header))
	names = append(names, slices.Collect(maps.Keys(want.header))...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		switch name {
		case "Date", "Content-Length", "Transfer-Encoding", "Connection", "Server-Timing":
			continue
		}
		g, w := withoutTimes(name, got.header[name]), withoutTimes(name, want.header[name])
		if name == "Content-Type" && (len(g) == 0 && want.body == "" || len(g) == 1 && slices.Equal(w, []string{g[0] + ";charset=UTF-8"})) {
			continue // PHP-FPM adds these, see docs/php.md
		}
		if !slices.Equal(g, w) {
			fmt.Fprintf(&d, "\n\t%s: %q, want %q", name, g, w)
		}
	}
	return d.String()
}

var cookieTimes = regexp.MustCompile(`(?i)(expires|max-age)=[^;]*`)

// encrypted is the value of a cookie that Laravel has encrypted.
var encrypted = regexp.MustCompile(`=eyJpdiI6[^;]*`)

// withoutTimes removes the times of cookies, which depend on when they were set, and
// values that are new in each response.
func withoutTimes(name string, values []string) []string {
	if name != "Set-Cookie" {
		return values
	}
	var without []string
	for _, value := range values {
		without = append(without, encrypted.ReplaceAllString(cookieTimes.ReplaceAllString(value, "$1"), "=encrypted"))
	}
	return without
}

// compareSessions visits an application three times in one session.
func compareSessions(t *testing.T, worker, fpm *Daemon) {
	for way, ask := range frameworkWays {
		var cookies [2]string
		for visit := 1; visit <= 3; visit++ {
			var responses [2]exchanged
			for i, p := range []*Daemon{worker, fpm} {
				c := frameworkRequest{"GET", "/visits", http.Header{}, ""}
				if cookies[i] != "" {
					c.header.Set("Cookie", cookies[i])
				}
				x := ask(t, p, c)
				if fields := x.header["Set-Cookie"]; len(fields) > 0 {
					if len(fields) > 1 {
						t.Errorf("visit %d %s: %d cookies: %q", visit, way, len(fields), fields)
					}
					value, attributes, _ := strings.Cut(fields[0], ";")
					cookies[i] = value
					x.header["Set-Cookie"] = []string{value[:strings.Index(value, "=")] + ";" + attributes}
				}
				delete(x.header, "Expires") // now
				responses[i] = x
			}
			if want := fmt.Sprintf("visit %d\n", visit); responses[0].body != want {
				t.Errorf("visit %d %s: %q", visit, way, responses[0].body)
			}
			if diff := differences(responses[0], responses[1]); diff != "" {
				t.Errorf("visit %d %s:%s", visit, way, diff)
			}
		}
	}
}
