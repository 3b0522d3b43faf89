package proxy

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"mkd/megaki"
)

// TestSessionRestsBehindProxy: a session whose client a PROXY header names rests, and is
// counted and shown as that client's; it carries messages again, and ends with its client
// or with the daemon.
func TestSessionRestsBehindProxy(t *testing.T) {
	t.Parallel()
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_connections: 20, max_connections_per_ip: 2, proxy_protocol: {from: [127.0.0.0/8]}}}
routes:
  - respond: {status: 200, body: fine}
`))
	config := client(t, p, "app").Config
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connect := func() *megaki.Conn {
		conn, err := net.Dial("tcp", p.Addr("app").String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
		c, err := megaki.NewConn(ctx, conn, &config)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	await := func(what string, state func() bool) {
		t.Helper()
		for !state() {
			if ctx.Err() != nil {
				t.Fatalf("it never came to this: %s", what)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	parked := func(n int) func() bool { return func() bool { return p.Status().Sessions.Parked == n } }
	conns := []*megaki.Conn{connect(), connect()}
	for range 2 {
		await("both rest", parked(2))
		sessions, _ := p.Sessions(10)
		if len(sessions) != 2 || sessions[0].Client != "192.0.2.7:4711" {
			t.Fatalf("sessions: %+v", sessions)
		}
		if st := p.Status().Listeners[0]; st.Connections != 2 {
			t.Errorf("%d connections", st.Connections)
		}
		for _, c := range conns {
			if response, err := c.RoundTrip(ctx, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil || len(response) == 0 {
				t.Fatal(err)
			}
		}
	}
	await("both rest", parked(2))
	conns[0].Close()
	await("one has ended", func() bool { return p.Status().Listeners[0].Connections == 1 })
	connect() // the client may have it again
	await("both rest", parked(2))
}
