package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// TestResponses checks how responses are understood, and whether the connection is
// kept after them. Each is sent at once and, a second time, byte by byte.
func TestResponses(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, c := range []struct {
		name, method, response string
		status                 int
		body                   string
		length                 int64
		kept                   bool
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, true},
		{"length 0", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", 0, true},
		{"twice the same length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nte\r\n2;x=y\r\nxt\r\n0\r\n\r\n", 200, "text", -1, true},
		{"chunked and empty", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "", -1, true},
		{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A, Content-Length\r\n\r\n4\r\ntext\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\n", 200, "text", -1, true},
		{"to the end", "GET", "HTTP/1.1 200 OK\r\n\r\ntext", 200, "text", -1, false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\ntext", 200, "text", -1, false},
		{"HTTP/1.0 with a length", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, false},
		{"HTTP/1.0 kept", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, true},
		{"LF only", "GET", "HTTP/1.0 200 OK\nContent-Length: 4\n\ntext", 200, "text", 4, false},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 200, "", 4, true},
		{"HEAD chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", -1, true},
		{"HEAD with a body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext", 200, "", 4, false},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 0, true},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", 204, "", 0, true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", 304, "", 0, true},
		{"no reason", "GET", "HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n", 299, "", 0, true},
		{"999", "GET", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", 999, "", 0, true},
		{"after 1xx", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, true},
		{"junk after it", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntextHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", 200, "text", 4, false},
		{"junk after chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\nx", 200, "text", -1, false},
		{"dies soon", "GET", "HTTP/1.1 200 OK\r\nKeep-Alive: max=3, timeout=1\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, false},
		{"dies later", "GET", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\nContent-Length: 4\r\n\r\ntext", 200, "text", 4, true},
	} {
		for _, slow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", c.name, slow), func(t *testing.T) {
				tr, _ := serve(t, func(f *fakeConn) {
					if _, err := f.read(); err != nil {
						return
					}
					if !slow {
						f.say(c.response)
					}
					for i := range c.response {
						if slow {
							f.say(c.response[i : i+1])
							time.Sleep(50 * time.Microsecond)
						}
					}
					if !strings.Contains(c.response, "\nContent-Length") && !strings.Contains(c.response, "chunked") && c.length < 0 {
						return
					}
					f.br.ReadByte() // until it is closed
				})
				resp, body, err := roundTripAll(tr, newRequest(t, c.method, ""))
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != c.status || body != c.body || resp.ContentLength != c.length {
					t.Errorf("%d, %q, length %d", resp.StatusCode, body, resp.ContentLength)
				}
				for _, name := range []string{"Transfer-Encoding", "Trailer"} {
					if resp.Header[name] != nil {
						t.Errorf("%s is left", name)
					}
				}
				if c.name == "trailer" && !reflect.DeepEqual(resp.Trailer, http.Header{"A": {"b"}}) {
					t.Errorf("trailer %v", resp.Trailer)
				}
				if strings.HasPrefix(c.name, "junk") || c.name == "HEAD with a body" {
					// What comes late is seen when the connection is to be used.
					if c := tr.kept(time.Now()); c != nil && !slow {
						t.Error("the connection is kept")
					} else if c != nil {
						c.Discard()
					}
				} else if (idle(tr) == 1) != c.kept {
					t.Errorf("%d idle", idle(tr))
				}
			})
		}
	}
}

// TestMalformedResponses checks that none of them is believed.
func TestMalformedResponses(t *testing.T) {
	fakeserver.NoLeaks(t)
	const head = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		response string
		want     error
	}{
		"nothing":                  {"", io.ErrUnexpectedEOF},
		"a beginning":              {"HTT", io.ErrUnexpectedEOF},
		"a cut head":               {head + "A: b\r\n", io.ErrUnexpectedEOF},
		"HTTP/0.9":                 {"<html>text</html>\n", roundtrip.ErrHeader},
		"another protocol":         {"SSH-2.0-OpenSSH_9\r\n", roundtrip.ErrHeader},
		"a line before":            {"\r\n" + ok, roundtrip.ErrHeader},
		"garbage before":           {"text" + ok, roundtrip.ErrHeader},
		"HTTP/2":                   {"HTTP/2.0 200 OK\r\n\r\n", roundtrip.ErrHeader},
		"HTTP/1.10":                {"HTTP/1.10 200 OK\r\n\r\n", roundtrip.ErrHeader},
		"lower case":               {"http/1.1 200 OK\r\n\r\n", roundtrip.ErrHeader},
		"status 99":                {"HTTP/1.1 099 OK\r\n\r\n", roundtrip.ErrHeader},
		"status 1000":              {"HTTP/1.1 1000 OK\r\n\r\n", roundtrip.ErrHeader},
		"status +20":               {"HTTP/1.1 +20 OK\r\n\r\n", roundtrip.ErrHeader},
		"status with two spaces":   {"HTTP/1.1  200 OK\r\n\r\n", roundtrip.ErrHeader},
		"no status":                {"HTTP/1.1 \r\n\r\n", roundtrip.ErrHeader},
		"CR in the reason":         {"HTTP/1.1 200 O\rK\r\n\r\n", roundtrip.ErrHeader},
		"no colon":                 {head + "secret\r\n\r\n", roundtrip.ErrHeader},
		"space before the colon":   {head + "Content-Length : 4\r\n\r\n", roundtrip.ErrHeader},
		"no name":                  {head + ": secret\r\n\r\n", roundtrip.ErrHeader},
		"a folded field":           {head + "A: b\r\n c\r\n\r\n", roundtrip.ErrHeader},
		"a folded first field":     {head + " A: b\r\n\r\n", roundtrip.ErrHeader},
		"NUL":                      {head + "A: secret\x00\r\n\r\n", roundtrip.ErrHeader},
		"CR":                       {head + "A: secret\rB: c\r\n\r\n", roundtrip.ErrHeader},
		"two lengths":              {head + "Content-Length: 4\r\nContent-Length: 5\r\n\r\ntextx", roundtrip.ErrHeader},
		"a list of lengths":        {head + "Content-Length: 4, 4\r\n\r\ntext", roundtrip.ErrHeader},
		"length -4":                {head + "Content-Length: -4\r\n\r\ntext", roundtrip.ErrHeader},
		"length +4":                {head + "Content-Length: +4\r\n\r\ntext", roundtrip.ErrHeader},
		"no length":                {head + "Content-Length:\r\n\r\ntext", roundtrip.ErrHeader},
		"a huge length":            {head + "Content-Length: 99999999999999999999\r\n\r\ntext", roundtrip.ErrHeader},
		"length and chunked":       {head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", roundtrip.ErrHeader},
		"gzip, chunked":            {head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", roundtrip.ErrHeader},
		"chunked twice":            {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", roundtrip.ErrHeader},
		"identity":                 {head + "Transfer-Encoding: identity\r\n\r\ntext", roundtrip.ErrHeader},
		"chunked in HTTP/1.0":      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", roundtrip.ErrHeader},
		"101 unasked":              {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", roundtrip.ErrHeader},
		"a long head":              {head + "A: " + strings.Repeat("x", 70000) + "\r\n\r\n", roundtrip.ErrHeader},
		"an endless line":          {"HTTP/1.1 200 " + strings.Repeat("x", 70000), roundtrip.ErrHeader},
		"many fields":              {head + strings.Repeat("A: b\r\n", 12000) + "\r\n", roundtrip.ErrHeader},
		"many 1xx":                 {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 300) + ok, roundtrip.ErrHeader},
		"large 1xx":                {strings.Repeat("HTTP/1.1 103 Early Hints\r\nA: "+strings.Repeat("x", 10000)+"\r\n\r\n", 8) + ok, roundtrip.ErrHeader},
		"a wrong one after 1xx":    {"HTTP/1.1 100 Continue\r\n\r\ntext", roundtrip.ErrHeader},
		"a cut body":               {head + "Content-Length: 5\r\n\r\ntext", io.ErrUnexpectedEOF},
		"a missing body":           {head + "Content-Length: 5\r\n\r\n", io.ErrUnexpectedEOF},
		"chunks without an end":    {head + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n", io.ErrUnexpectedEOF},
		"chunks without a trailer": {head + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n", io.ErrUnexpectedEOF},
		"a cut chunk":              {head + "Transfer-Encoding: chunked\r\n\r\n5\r\ntext", io.ErrUnexpectedEOF},
		"a cut size":               {head + "Transfer-Encoding: chunked\r\n\r\n4", io.ErrUnexpectedEOF},
		"a wrong size":             {head + "Transfer-Encoding: chunked\r\n\r\n-4\r\ntext\r\n0\r\n\r\n", ErrChunked},
		"a huge size":              {head + "Transfer-Encoding: chunked\r\n\r\n10000000000000004\r\ntext\r\n0\r\n\r\n", ErrChunked},
		"a long chunk":             {head + "Transfer-Encoding: chunked\r\n\r\n4\r\ntextx\r\n0\r\n\r\n", ErrChunked},
		"long extensions":          {head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\nx\r\n", 30) + "0\r\n\r\n", ErrChunked},
		"a wrong trailer":          {head + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\nsecret\r\n\r\n", roundtrip.ErrHeader},
		"a long trailer":           {head + "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n" + strings.Repeat("A: b\r\n", 12000) + "\r\n", roundtrip.ErrHeader},
	} {
		t.Run(name, func(t *testing.T) {
			tr, _ := serve(t, func(f *fakeConn) {
				f.read()
				f.say(c.response)
			})
			_, body, err := roundTripAll(tr, newRequest(t, "GET", ""))
			if !errors.Is(err, c.want) {
				t.Fatalf("%q, %v", body, err)
			}
			e := failure(t, err)
			if !e.Sent || e.Responded != (c.response != "") || e.Reused || e.Timeout() {
				t.Errorf("%+v", e)
			}
			if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), tr.Address) {
				t.Errorf("%v", err)
			}
			if idle(tr) != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// TestReceived checks that a body reports when all of it has been received.
func TestReceived(t *testing.T) {
	fakeserver.NoLeaks(t)
	more := make(chan struct{})
	tr, _ := serve(t, func(f *fakeConn) {
		for _, wait := range []bool{false, true} {
			if _, err := f.read(); err != nil {
				return
			}
			f.say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
			if wait {
				<-more
			}
			f.say("half")
		}
		f.br.ReadByte()
	})
	for _, waits := range []bool{false, true} {
		resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body := resp.Body.(interface{ Received() bool })
		if waits && body.Received() {
			t.Error("received before it was sent")
		}
		if waits {
			close(more)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(resp.Body); string(rest) != "half" || err != nil || !body.Received() {
			t.Errorf("%q, %v, received: %t", rest, err, body.Received())
		}
	}
	tr, _ = serve(t, responding(ok))
	resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if !resp.Body.(interface{ Received() bool }).Received() {
		t.Error("not received, though it came with the header")
	}
}

// TestMoreThanContentLength checks that bytes beyond the Content-Length are
// dropped, that this is reported once, and that the connection isn't used again.
func TestMoreThanContentLength(t *testing.T) {
	fakeserver.NoLeaks(t)
	const head = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
	for _, size := range []int{0, 4, roundtrip.ReaderSize, roundtrip.ReaderSize + 1, 1 << 20} {
		for _, excess := range []string{"\n", ok, strings.Repeat("x", 100_000)} {
			body := strings.Repeat("b", size)
			tr, s := serve(t, func(f *fakeConn) {
				for {
					if _, err := f.read(); err != nil {
						return
					}
					f.say(fmt.Sprintf(head, size), body, excess)
				}
			})
			reports := 0
			with := eventful{tr, eventFuncs{func(int, http.Header) error { return nil }, func() { reports++ }}}
			for n := range 2 {
				if _, got, err := roundTripAll(with, newRequest(t, "GET", "")); err != nil || got != body {
					t.Errorf("%d bytes: %d came, %v", size, len(got), err)
				}
				if reports != n+1 || idle(tr) != 0 || s.Connections() != n+1 {
					t.Errorf("%d bytes and %d: %d reports of %d responses; %d idle connections of %d", size, len(excess), reports, n+1, idle(tr), s.Connections())
				}
			}
		}
	}
}

// TestEveryCut cuts responses at each byte: none of the pieces passes for whole.
func TestEveryCut(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, response := range []string{ok, "HTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n2;x\r\nxt\r\n0\r\nB: c\r\n\r\n"} {
		n := make(chan int, 1)
		tr, _ := serve(t, func(f *fakeConn) {
			f.read()
			f.say(response[:<-n])
		})
		for i := range len(response) + 1 {
			n <- i
			_, body, err := roundTripAll(tr, newRequest(t, "GET", ""))
			tr.CloseIdleConnections()
			if whole := i == len(response); whole != (err == nil) || !whole && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %q, %v", response[:i], body, err)
			}
		}
	}
}

// eventful is a Transport with the events of all requests.
type eventful struct {
	*Transport
	events roundtrip.Events
}

func (e eventful) RoundTrip(r *http.Request) (*http.Response, error) { return e.Do(r, nil, e.events) }

type eventFuncs struct {
	inform func(int, http.Header) error
	excess func()
}

func (e eventFuncs) Inform(status int, h http.Header) error { return e.inform(status, h) }
func (e eventFuncs) Excess()                                { e.excess() }

// TestInformational checks that 1xx responses go to whoever asks for them.
func TestInformational(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, responding("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"+ok))
	refused := errors.New("refused")
	for _, want := range []error{nil, refused} {
		var got []string
		with := eventful{tr, eventFuncs{func(code int, h http.Header) error {
			got = append(got, fmt.Sprint(code, h.Get("Link")))
			return want
		}, func() {}}}
		_, _, err := roundTripAll(with, newRequest(t, "GET", ""))
		if !errors.Is(err, want) {
			t.Error(err)
		}
		if n := len(got); n == 0 || got[0] != "103a" || want == nil && n != 2 {
			t.Errorf("%q", got)
		}
	}
}

// TestClose closes a response's body at various times.
func TestClose(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(ok))
	// All of it has come: the connection is kept.
	resp, err := tr.RoundTrip(newRequest(t, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if idle(tr) != 1 || s.Connections() != 1 {
		t.Errorf("%d idle, %d connections", idle(tr), s.Connections())
	}
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, roundtrip.ErrClosed) {
		t.Error(err)
	}
	resp.Body.Close()
	if n := tr.Active(); n != 0 {
		t.Errorf("%d active", n)
	}
	// A part is missing, and a Read waits for it.
	tr, _ = serve(t, responding("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntext"))
	if resp, err = tr.RoundTrip(newRequest(t, "GET", "")); err != nil {
		t.Fatal(err)
	}
	if p := make([]byte, 4); true {
		if _, err := io.ReadFull(resp.Body, p); err != nil || !bytes.Equal(p, []byte("text")) {
			t.Error(err)
		}
	}
	read := make(chan error)
	go func() {
		_, err := resp.Body.Read(make([]byte, 1))
		read <- err
	}()
	resp.Body.Close()
	if err := <-read; !errors.Is(err, roundtrip.ErrClosed) {
		t.Error(err)
	}
	if idle(tr) != 0 {
		t.Error("the connection is kept")
	}
}
