package upstream

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mkd/proxy/roundtrip"
)

// TestSteadyResponse: ReadTimeout is for each wait, and not for a whole response.
func TestSteadyResponse(t *testing.T) {
	for _, framing := range []string{"Content-Length: 10\r\n", "Connection: close\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			tr := &Transport{ReadTimeout: time.Second, ResponseTimeout: time.Minute, MaxIdle: -1}
			client, server := net.Pipe()
			go func() {
				f := &fakeConn{Conn: server, br: bufio.NewReader(server)}
				if _, err := f.read(); err != nil {
					t.Errorf("%s: %v", framing, err)
				}
				f.say("HTTP/1.1 200 OK\r\n" + framing + "\r\n")
				for range 10 {
					time.Sleep(800 * time.Millisecond)
					f.say("x")
				}
				server.Close()
			}()
			r := newRequest(t, "GET", "")
			rt := &roundTrip{t: tr, r: r, events: roundtrip.NoEvents, uncounted: true}
			rt.Begin(r)
			if err := rt.prepare(); err != nil {
				t.Fatal(err)
			}
			rt.conn = newConn(client)
			rt.conn.rt = rt
			rt.br = tr.buffers.Reader()
			rt.br.Reset((*input)(rt))
			rt.Open(client, &rt.conn.deadlines, false)
			if _, err := rt.assemble(); err != nil {
				t.Fatal(err)
			}
			rt.Start()
			if err := rt.send(); err != nil {
				t.Fatal(err)
			}
			if err := rt.readHeads(); err != nil {
				t.Fatal(err)
			}
			resp, err := rt.respond()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(resp.Body); string(got) != strings.Repeat("x", 10) || err != nil {
				t.Errorf("%s: %q, %v", framing, got, err)
			}
			resp.Body.Close()
			synctest.Wait()
		})
	}
}
