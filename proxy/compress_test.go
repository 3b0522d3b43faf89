package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// compressing starts both listeners in front of an upstream and files, on a route that
// compresses.
func compressing(t *testing.T, response http.HandlerFunc) *Daemon {
	t.Helper()
	rec := newRecorder(t, response)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_message: 64KiB}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
  assets: {files: {root: `+filesOf(t, map[string]string{"long.css": strings.Repeat("a{b:c}\n", 1000), "short.css": "a{}"})+`}}
routes:
  - {match: {paths: [/files/*]}, strip_prefix: /files, backend: assets, compress: true}
  - {match: {paths: [/plain]}, backend: api}
  - {backend: api, compress: true, headers: {request: {remove: [Accept-Encoding]}}}
`))
	return p
}

// filesOf makes a folder with files.
func filesOf(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) { // a.br must not be older than a
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCompress sends responses of all kinds through a route that compresses.
func TestCompress(t *testing.T) {
	text := strings.Repeat("all work and no play makes Jack a dull boy\n", 100)
	p := compressing(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("ETag", `"v1"`)
		q := r.URL.Query()
		for name, values := range q {
			if name != "status" && name != "flush" && name != "size" {
				h[http.CanonicalHeaderKey(name)] = values
			}
		}
		body := text
		if n, err := strconv.Atoi(q.Get("size")); err == nil {
			body = text[:n]
		}
		if q.Get("flush") == "" {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
		status := 200
		if n, err := strconv.Atoi(q.Get("status")); err == nil {
			status = n
		}
		if status == 204 {
			h.Del("Content-Length")
		}
		if status == 304 { // net/http's server would drop the length
			conn, _, _ := http.NewResponseController(w).Hijack()
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"v1\"\r\nContent-Length: %d\r\n\r\n", len(body))
			return
		}
		w.WriteHeader(status)
		if q.Get("flush") != "" {
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, body)
	})
	for _, c := range []struct {
		target, accept string
		gzip, vary     bool
		etag           string
	}{
		{"/", "gzip", true, true, `W/"v1"`},
		{"/", "", false, true, `"v1"`},
		{"/", "gzip;q=0", false, true, `"v1"`},
		{"/plain", "gzip", false, false, `"v1"`},
		{"/?status=404", "gzip", true, true, `W/"v1"`},
		{"/?status=206&content-range=bytes+0-9/10", "gzip", false, true, `"v1"`}, // a part of what depends on Accept-Encoding
		{"/?status=206&content-range=bytes+0-9/10&content-type=image/png", "gzip", false, false, `"v1"`},
		{"/?status=204", "gzip", false, false, `"v1"`},
		{"/?status=304", "gzip", false, true, `W/"v1"`},
		{"/?status=304", "", false, true, `"v1"`},
		{"/?content-type=image/png", "gzip", false, false, `"v1"`},
		{"/?content-type=application/vnd.api%2Bjson", "gzip", true, true, `W/"v1"`},
		{"/?content-type=image/svg%2Bxml", "gzip", true, true, `W/"v1"`},
		{"/?content-type=APPLICATION/JSON", "gzip", true, true, `W/"v1"`},
		{"/?content-type=application/jsonish", "gzip", false, false, `"v1"`},
		{"/?content-encoding=br", "gzip", false, false, `"v1"`},
		{"/?cache-control=public,+No-Transform", "gzip", false, false, `"v1"`},
		{"/?content-digest=sha-256%3D:x:", "gzip", false, false, `"v1"`},
		{"/?vary=Cookie", "gzip", true, true, `W/"v1"`},
		{"/?vary=*", "gzip", true, false, `W/"v1"`},
		{"/?vary=accept-encoding", "gzip", true, true, `W/"v1"`},
		{"/?etag=W/%22v1%22", "gzip", true, true, `W/"v1"`},
		{"/?size=1023", "gzip", false, false, `"v1"`},
		{"/?size=1024", "gzip", true, true, `W/"v1"`},
		{"/?flush=1&size=10", "gzip", true, true, `W/"v1"`},
		{"/?flush=1", "gzip", true, true, `W/"v1"`},
		{"/files/long.css", "gzip", true, true, ""},
		{"/files/long.css", "", false, true, ""},
		{"/files/short.css", "gzip", false, false, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, way := range ways {
				name := method + " " + way.name + " " + c.target + " " + c.accept
				request := method + " " + c.target + " HTTP/1.1\r\nHost: example.org\r\n"
				if c.accept != "" {
					request += "Accept-Encoding: " + c.accept + "\r\n"
				}
				response := way.send(t, p, request+"\r\n")
				resp, body := parseResponse(t, response, method)
				h := resp.Header
				if compressed := h.Get("Content-Encoding") == "gzip"; compressed != c.gzip {
					t.Errorf("%s: %q", name, h)
				}
				if vary := strings.Contains(strings.ToLower(strings.Join(h["Vary"], ",")), "accept-encoding"); vary != c.vary || len(h["Vary"]) > 2 {
					t.Errorf("%s: %q", name, h)
				}
				if c.etag != "" && h.Get("Etag") != c.etag {
					t.Errorf("%s: %q", name, h)
				}
				if resp.StatusCode == 304 && c.accept != "" && h["Content-Length"] != nil { // of the bytes before
					t.Errorf("%s: %q", name, h)
				}
				if !c.gzip || method == "HEAD" {
					continue
				}
				if resp.ContentLength > int64(len(text)) || h.Get("Accept-Ranges") != "" {
					t.Errorf("%s: %d bytes, %q", name, resp.ContentLength, h)
				}
				plain, err := gunzip(body)
				want := text
				if _, size, ok := strings.Cut(c.target, "size="); ok {
					n, _ := strconv.Atoi(size)
					want = text[:n]
				}
				if strings.HasPrefix(c.target, "/files") {
					want = strings.Repeat("a{b:c}\n", 1000)
				}
				if err != nil || plain != want {
					t.Errorf("%s: %v, %.60q", name, err, plain)
				}
			}
		}
	}
	// A range is of the file as it is.
	for _, way := range ways {
		resp, body := parseResponse(t, way.send(t, p, "GET /files/long.css HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nRange: bytes=7-12\r\n\r\n"), "GET")
		if resp.StatusCode != 206 || resp.Header.Get("Content-Encoding") != "" || body != "a{b:c}" || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d %q %q", way.name, resp.StatusCode, resp.Header, body)
		}
	}
}

// TestCharsetOfFiles: a page in ISO 8859-1 was garbled by a charset in the header.
// charset and types are options of both kinds of backends that serve files.
func TestCharsetOfFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.html", "a.txt", "a.css", "a.own", "a.glb", "a.xml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, _ := allListeners(t, `
backends:
  files: {files: {root: `+dir+`}}
  own: {files: {root: `+dir+`, charset: iso-8859-1, types: {.own: text/x-own, .glb: model/gltf-binary}}}
  fpm: {fastcgi: {addresses: ["127.0.0.1:1"], root: `+dir+`}}
  ownfpm: {fastcgi: {addresses: ["127.0.0.1:1"], root: `+dir+`, charset: iso-8859-1, types: {.own: text/x-own, .glb: model/gltf-binary}}}
routes:
  - {match: {hosts: [files]}, backend: files}
  - {match: {hosts: [own]}, backend: own}
  - {match: {hosts: [fpm]}, backend: fpm}
  - {match: {hosts: [ownfpm]}, backend: ownfpm}
`)
	usual := map[string]string{"a.html": "text/html", "a.txt": "text/plain", "a.css": "text/css; charset=utf-8", "a.own": "application/octet-stream", "a.xml": "application/xml"}
	own := map[string]string{"a.html": "text/html; charset=iso-8859-1", "a.txt": "text/plain; charset=iso-8859-1", "a.css": "text/css; charset=iso-8859-1",
		"a.own": "text/x-own", "a.glb": "model/gltf-binary", "a.xml": "application/xml"}
	for host, types := range map[string]map[string]string{"files": usual, "fpm": usual, "own": own, "ownfpm": own} {
		for name, want := range types {
			for _, way := range everyWay {
				if g := way.send(t, p, &asked{method: "GET", target: "/" + name, fields: []string{"Host: " + host}}); g.status != 200 || g.header.Get("Content-Type") != want {
					t.Errorf("%s: %s of %s: %d %q, want %q", way.name, name, host, g.status, g.header.Get("Content-Type"), want)
				}
			}
		}
	}
}

// decoders decode the content codings.
var decoders = map[string]func(io.Reader) (io.Reader, error){
	"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
}

func decode(coding, s string) (string, error) {
	if coding == "" {
		return s, nil
	}
	r, err := decoders[coding](strings.NewReader(s))
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// TestCompressAlgorithms: clients get the coding that they like best, and of equals
// the first that the route names; a route decides which types and lengths.
func TestCompressAlgorithms(t *testing.T) {
	text := strings.Repeat("all work and no play makes Jack a dull boy\n", 3000)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.Header().Set("Etag", `"v1"`)
		body := text
		if n, err := strconv.Atoi(r.URL.Query().Get("size")); err == nil {
			body = text[:n]
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body)
	})
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/gzip]}, backend: api, compress: {algorithms: [gzip]}}
  - {match: {paths: [/br]}, backend: api, compress: {algorithms: [br, gzip], types: [application/*, text/plain], min_size: 100B}}
  - {match: {paths: [/off]}, backend: api, compress: false}
  - {backend: api, compress: true}
`))
	for _, c := range []struct{ target, accept, want string }{
		{"/?type=text/html", "gzip", "gzip"},
		{"/?type=text/html", "gzip, br", "br"},
		{"/?type=text/html", "gzip, br, zstd", "zstd"},
		{"/?type=text/html", "gzip, br;q=0.9, zstd;q=0.8", "gzip"},
		{"/?type=text/html", "br;q=0.9, zstd;q=0.8, gzip;q=0", "br"},
		{"/?type=text/html", "identity, br;q=0.9", ""},
		{"/?type=text/html", "deflate", ""},
		{"/gzip?type=text/html", "gzip;q=0.1, br, zstd", "gzip"},
		{"/gzip?type=text/html", "br, zstd", ""},
		{"/br?type=text/plain%3B+charset=utf-8", "gzip, br, zstd", "br"},
		{"/br?type=application/wasm", "gzip", "gzip"},
		{"/br?type=text/html", "gzip", ""},
		{"/br?type=text/plain&size=100", "gzip", "gzip"},
		{"/br?type=text/plain&size=99", "gzip", ""},
		{"/?type=text/plain&size=1023", "gzip", ""},
		{"/off?type=text/plain", "gzip", ""},
	} {
		for _, way := range ways {
			resp, body := parseResponse(t, way.send(t, p, "GET "+c.target+" HTTP/1.1\r\nHost: x\r\nAccept-Encoding: "+c.accept+"\r\n\r\n"), "GET")
			h := resp.Header
			plain, err := decode(h.Get("Content-Encoding"), body)
			want := text
			if _, size, ok := strings.Cut(c.target, "size="); ok {
				n, _ := strconv.Atoi(size)
				want = text[:n]
			}
			if h.Get("Content-Encoding") != c.want || err != nil || plain != want {
				t.Errorf("%s %s %q: %q, %v, %d bytes", way.name, c.target, c.accept, h, err, len(plain))
			}
			if c.want != "" && (h.Get("Etag") != `W/"v1"` || h.Get("Vary") != "Accept-Encoding" || len(want) > 1000 && len(body) > len(want)*9/10) {
				t.Errorf("%s %s %q: %q, %d bytes", way.name, c.target, c.accept, h, len(body))
			}
		}
	}
	resp, _ := parseResponse(t, sendWeb(t, p, "GET /?type=text/html HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nCache-Control: no-transform\r\n\r\n"), "GET")
	if resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("transformed against the client's will: %q", resp.Header)
	}
}

func gunzip(s string) (string, error) {
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(z)
	return string(b), err
}

// TestCompressLeavesDigests: a body whose digest comes after it isn't compressed. One that wasn't
// announced is dropped, since the body has been compressed by then.
func TestCompressLeavesDigests(t *testing.T) {
	const text = "all work and no play makes Jack a dull boy\n"
	p := compressing(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		prefix := http.TrailerPrefix
		if r.URL.Path == "/announced" {
			prefix = ""
			w.Header().Set("Trailer", "X-End, Content-Digest")
		}
		io.WriteString(w, strings.Repeat(text, 100))
		http.NewResponseController(w).Flush()
		w.Header().Set(prefix+"Content-Digest", "sha-256=:digest:")
		w.Header().Set(prefix+"X-End", "yes")
	})
	for path, coding := range map[string]string{"/announced": "", "/unannounced": "gzip"} {
		r, err := http.NewRequest("GET", "http://"+p.Addr("web").String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.Header.Get("Content-Encoding") != coding || len(body) == 0 {
			t.Errorf("%s: %v, %v", path, resp.Header, err)
		}
		if digest := resp.Trailer.Get("Content-Digest"); (digest != "") != (coding == "") || resp.Trailer.Get("X-End") != "yes" {
			t.Errorf("%s: %v", path, resp.Trailer)
		}
	}
}

// TestCompressBreaksOff: what breaks off before its end doesn't end as gzip
// does, nor as the response does.
func TestCompressBreaksOff(t *testing.T) {
	p := compressing(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/declared" {
			w.Header().Set("Content-Length", "100000")
		}
		io.WriteString(w, strings.Repeat("x", 50_000))
		http.NewResponseController(w).Flush()
		if r.URL.Path == "/large" {
			b := make([]byte, 1<<20) // more than a message may have, even compressed
			rand.NewChaCha8([32]byte{}).Read(b)
			w.Write(b)
			return
		}
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/", "/declared"} {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", path)
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil { // else nothing of it came
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode == http.StatusBadGateway { // nothing had been sent yet
				continue
			}
			if err == nil || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%s: %.100q looks whole: %q", path, body, resp.Header)
			}
			if plain, err := gunzip(string(body)); err == nil {
				t.Errorf("%s: the gzip stream looks whole: %d bytes", path, len(plain))
			}
		} else if path == "/" {
			t.Error(err)
		}
		response := ways[0].send(t, p, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
		if resp, body := parseResponse(t, response, "GET"); resp.StatusCode != 502 || !strings.HasPrefix(body, "502 ") || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %.300q", path, response)
		}
	}
	response := ways[0].send(t, p, "GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
	if resp, body := parseResponse(t, response, "GET"); resp.StatusCode != 502 || !strings.Contains(body, "longer than the 64KiB") {
		t.Errorf("%.300q", response)
	}
}

// TestCompressEvents: pieces of a stream reach the client as they come.
func TestCompressEvents(t *testing.T) {
	next := make(chan bool)
	p := compressing(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		control.Flush()
		for i := range 3 {
			<-next
			fmt.Fprintf(w, "data: %d\n\n", i)
			control.Flush()
		}
	})
	for coding := range decoders {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n", coding)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil) // before there is an event
		if err != nil || resp.Header.Get("Content-Encoding") != coding {
			t.Fatalf("%s: %v, %v", coding, err, resp)
		}
		next <- true
		z, err := decoders[coding](resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for i := range 3 {
			want := fmt.Sprintf("data: %d\n\n", i)
			if _, err := io.CopyN(&got, z, int64(len(want))); err != nil || !strings.HasSuffix(got.String(), want) {
				t.Fatalf("%s: %q, %v", coding, got.String(), err)
			}
			if i < 2 {
				next <- true
			}
		}
		if rest, err := io.ReadAll(z); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q, %v", coding, rest, err)
		}
	}
}
