package balance

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/upstream"
)

// http2Server is a server whose first requests fail by fail. It responds to the others with
// their bodies.
type http2Server struct {
	requests atomic.Int32
	fails    int32 // how many do; 0: one
	fail     func(f *http2.Framer, id uint32) (goOn bool)
}

func (s *http2Server) serve(c net.Conn, _ int) {
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	bodies := make(map[uint32][]byte)
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		id := frame.Header().StreamID
		ended := false
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			if s.requests.Add(1) <= max(1, s.fails) {
				if !s.fail(f, id) {
					return
				}
				continue
			}
			bodies[id], ended = []byte{}, frame.StreamEnded()
		case *http2.DataFrame:
			if bodies[id] != nil {
				bodies[id], ended = append(bodies[id], frame.Data()...), frame.StreamEnded()
			}
		}
		if ended {
			var block bytes.Buffer
			hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
			f.WriteData(id, true, bodies[id])
		}
	}
}

// TestRepeatsInHTTP2: what a server of HTTP/2 may have handled is repeated only if that
// does no harm, and by the balancer alone. What it has announced not to have handled (RFC
// 9113, sections 6.8 and 8.7) is sent again, once.
func TestRepeatsInHTTP2(t *testing.T) {
	reset := func(code http2.ErrCode) func(*http2.Framer, uint32) bool {
		return func(f *http2.Framer, id uint32) bool { f.WriteRSTStream(id, code); return true }
	}
	before := func(code http2.ErrCode) func(*http2.Framer, uint32) bool {
		return func(f *http2.Framer, id uint32) bool { f.WriteGoAway(0, code, nil); return true } // the client closes
	}
	after := func(code http2.ErrCode) func(*http2.Framer, uint32) bool {
		return func(f *http2.Framer, id uint32) bool { f.WriteGoAway(id, code, nil); return false }
	}
	for _, c := range []struct {
		name                       string
		fail                       func(*http2.Framer, uint32) bool
		gets, posts, getsOfAnother int32 // how often a request is sent; GET also with another upstream
	}{
		{"PROTOCOL_ERROR", reset(http2.ErrCodeProtocol), 1, 1, 2},
		{"INTERNAL_ERROR", reset(http2.ErrCodeInternal), 1, 1, 2},
		{"REFUSED_STREAM", reset(http2.ErrCodeRefusedStream), 2, 2, 2},
		{"GOAWAY before the request", before(http2.ErrCodeNo), 2, 2, 2},
		{"GOAWAY before the request, with an error", before(http2.ErrCodeProtocol), 2, 2, 2},
		{"GOAWAY after the request", after(http2.ErrCodeNo), 1, 1, 2},
		{"GOAWAY after the request, with an error", after(http2.ErrCodeInternal), 1, 1, 2},
	} {
		for _, r := range []struct {
			method, body string
			upstreams    int
			sent         int32
		}{
			{"GET", "", 1, c.gets}, {"GET", "", 2, c.getsOfAnother},
			{"POST", "", 1, c.posts}, {"POST", "", 2, c.posts},
			{"POST", "body", 1, c.posts}, {"POST", "body", 2, c.posts},
		} {
			s := &http2Server{fail: c.fail}
			var b Balancer
			for range r.upstreams {
				f := fakeserver.Start(t, fakeserver.TCP(t), s.serve)
				to := &upstream.HTTP2{Address: f.Address}
				t.Cleanup(to.CloseIdleConnections)
				b.Upstreams = append(b.Upstreams, &Upstream{Name: f.Address, Transport: to})
			}
			var body io.Reader
			if r.body != "" {
				body = io.MultiReader(strings.NewReader(r.body)) // so that there is no GetBody
			}
			req, err := http.NewRequestWithContext(t.Context(), r.method, "/", body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(len(r.body))
			resp, err := b.RoundTrip(req)
			if n := s.requests.Load(); n != r.sent {
				t.Errorf("%s: %s %q with %d upstreams: %d requests were sent, not %d: %v", c.name, r.method, r.body, r.upstreams, n, r.sent, err)
			}
			if (err == nil) != (r.sent > 1) {
				t.Errorf("%s: %s %q with %d upstreams: %v", c.name, r.method, r.body, r.upstreams, err)
			}
			if err == nil {
				if got, err := io.ReadAll(resp.Body); string(got) != r.body || err != nil {
					t.Errorf("%s: %s %q with %d upstreams: the body %q, %v", c.name, r.method, r.body, r.upstreams, got, err)
				}
				resp.Body.Close()
			}
		}
	}
}

// TestRetiredConnections: connections that were opened together come to their end together.
// A server that refuses a request is asked once more only.
func TestRetiredConnections(t *testing.T) {
	away := func(f *http2.Framer, _ uint32) bool { f.WriteGoAway(0, http2.ErrCodeNo, nil); return true }
	refuse := func(f *http2.Framer, id uint32) bool { f.WriteRSTStream(id, http2.ErrCodeRefusedStream); return true }
	for _, c := range []struct {
		name        string
		fail        func(*http2.Framer, uint32) bool
		fails, sent int32
		works       bool
	}{
		{"four connections end", away, 4, 5, true},
		{"all end", away, 100, 5, false},
		{"two refusals", refuse, 2, 2, false},
	} {
		s := &http2Server{fail: c.fail, fails: c.fails}
		f := fakeserver.Start(t, fakeserver.TCP(t), s.serve)
		to := &upstream.HTTP2{Address: f.Address}
		t.Cleanup(to.CloseIdleConnections)
		b := Balancer{Upstreams: []*Upstream{{Name: f.Address, Transport: to}}}
		req, err := http.NewRequestWithContext(t.Context(), "POST", "/", io.MultiReader(strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 4
		resp, err := b.RoundTrip(req)
		if n := s.requests.Load(); n != c.sent || (err == nil) != c.works {
			t.Errorf("%s: %d requests were sent: %v", c.name, n, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		if st := b.Status()[0]; !st.Up || st.Failed != 0 {
			t.Errorf("%s: it counts as a failure: %+v", c.name, st)
		}
	}
}
