package proxy

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is a request as an upstream saw it.
type seen struct {
	line    string // method and target
	host    string
	headers string // sorted, one a line, without X-Request-Id
	id      string // X-Request-Id, which differs each time
	body    string
}

// recorder is an upstream that remembers what it saw.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	last []seen
}

// newRecorder starts an upstream with a handler. Without one it responds ok.
func newRecorder(t testing.TB, response http.HandlerFunc) *recorder {
	t.Helper()
	rec := new(recorder)
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s := seen{line: r.Method + " " + r.RequestURI, host: r.Host, body: string(body), id: r.Header.Get("X-Request-Id")}
		delete(r.Header, "X-Request-Id")
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, v := range r.Header[name] {
				s.headers += name + ": " + v + "\n"
			}
		}
		rec.mu.Lock()
		rec.last = append(rec.last, s)
		rec.mu.Unlock()
		if response != nil {
			response(w, r)
			return
		}
		w.Header()["Date"] = nil
		io.WriteString(w, "ok")
	}))
	t.Cleanup(rec.Close)
	return rec
}

// take returns what was seen since the last call.
func (r *recorder) take() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.last
	r.last = nil
	return s
}

// bothListeners starts a Megaki and an HTTP listener in front of one upstream. ROUTES are put
// before the route that leads there.
func bothListeners(t *testing.T, upstream, routes string) *Daemon {
	t.Helper()
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+upstream+`}]}}
routes:
`+routes+`
  - backend: api
`))
	return p
}

// way is how a request reaches mkd.
type way struct {
	name string
	send func(t *testing.T, p *Daemon, request string) []byte
}

// ways are the listeners that take HTTP requests. Each returns the response
// in bytes, nil if the connection was closed without one.
var ways = []way{
	{"app", func(t *testing.T, p *Daemon, request string) []byte {
		response, err := client(t, p, "app").Send(t.Context(), []byte(request))
		if err != nil {
			return nil
		}
		return response
	}},
	{"web", sendWeb},
}

// sendWeb sends bytes to the HTTP listener, and returns the first response.
func sendWeb(t *testing.T, p *Daemon, request string) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(conn, request) // a response may come before the end
	method, _, _ := strings.Cut(request, " ")
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return nil
	}
	resp.Header.Del("Date") // the server's own
	resp.Header.Del("Connection")
	resp.Close = false
	var out bytes.Buffer
	if err := resp.Write(&out); err != nil {
		return nil
	}
	return out.Bytes()
}

func parseResponse(t *testing.T, response []byte, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(response)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in %q", err, response)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%v in %q", err, response)
	}
	return resp, string(body)
}
