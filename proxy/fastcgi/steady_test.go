package fastcgi

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSteadyResponse: ReadTimeout is for each wait, and not for a whole response, also where
// what comes isn't wanted.
func TestSteadyResponse(t *testing.T) {
	for _, c := range []struct{ name, method, header, piece, want string }{
		{"a body", "GET", "", "x", strings.Repeat("x", 10)},
		{"a body that isn't wanted", "HEAD", "", "x", ""},
		{"more than Content-Length", "GET", "Content-Length: 1\r\n", "x", "x"},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := &Transport{ReadTimeout: time.Second, ResponseTimeout: time.Minute}
			r := newRequest(t, c.method, "")
			client, server := net.Pipe()
			go func() {
				f := &fakeConn{Conn: server, br: bufio.NewReader(server)}
				if _, err := f.readRequest(); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				f.say(stdout("Content-Type: text/plain\r\n" + c.header + "\r\n"))
				for range 10 {
					time.Sleep(800 * time.Millisecond)
					f.say(stdout(c.piece))
				}
				f.say(end(0))
				io.Copy(io.Discard, server)
			}()
			rt := &roundTrip{t: tr, r: r, call: with(simpleParams)(r), left: -1}
			rt.Begin(r)
			if err := rt.prepare(); err != nil {
				t.Fatal(err)
			}
			resp, err := rt.on(newConn(client), false)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got, err := io.ReadAll(rt); string(got) != c.want || err != nil {
				t.Errorf("%s: %q, %v", c.name, got, err)
			}
			resp.Body.Close()
			server.Close()
			synctest.Wait()
		})
	}
}
