package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds what should happen at once.
const patience = 30 * time.Second

// The network of proxies. Other clients of the tests dial from 127.0.0.1.
var (
	proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	proxy   = "127.0.0.2"
	other   = "127.0.0.1"
)

func start(t *testing.T, o Options) net.Listener {
	t.Helper()
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	l, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, from string, l net.Listener, data string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestHeadersOfAProxy(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies})
	for _, test := range headers {
		client := dial(t, proxy, l, test.header+"hello")
		c := accept(t, l)
		want := test.client
		if want == "" {
			want = client.LocalAddr().String()
		}
		if got := c.RemoteAddr().String(); got != want {
			t.Errorf("%s: from %s, want %s", test.name, got, want)
		}
		if _, ok := c.RemoteAddr().(*net.TCPAddr); !ok {
			t.Errorf("%s: the address is a %T", test.name, c.RemoteAddr())
		}
		if c.LocalAddr().String() != l.Addr().String() {
			t.Errorf("%s: to %s", test.name, c.LocalAddr())
		}
		io.WriteString(c, "response")
		c.(interface{ CloseWrite() error }).CloseWrite()
		if got, err := io.ReadAll(client); err != nil || string(got) != "response" {
			t.Errorf("%s: the client got %q, %v", test.name, got, err)
		}
		client.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
		c.Close()
	}
}

// A header that another than a proxy sends is mere bytes, and the connection is
// the socket's own.
func TestHeaderOfAnother(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies})
	const forged = "PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n"
	client := dial(t, other, l, forged)
	client.CloseWrite()
	c := accept(t, l)
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("the connection is a %T", c)
	}
	if c.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("from %s", c.RemoteAddr())
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != forged {
		t.Errorf("%q, %v", got, err)
	}
}

// Networks and addresses are compared as IPv4 where they are mapped to IPv6,
// and without zones.
func TestNetworksOfProxies(t *testing.T) {
	for network, want := range map[string]bool{
		"127.0.0.2/32":            true,
		"127.0.0.0/8":             true,
		"0.0.0.0/0":               true,
		"::ffff:127.0.0.0/104":    true,
		"::ffff:0.0.0.0/96":       true,
		"10.0.0.0/8":              false,
		"::/0":                    false,
		"::ffff:127.0.0.1/128":    false,
		"2001:db8::/32":           false,
		"::ffff:127.0.0.3/127":    true,
		"::ffff:255.0.0.0/104":    false,
		"255.255.255.255/32":      false,
		"fe80::/10":               false,
		"::ffff:127.0.0.2/128":    true,
		"::fffe:ffff:7f00:2/128":  false,
		"0:0:0:0:0:ffff:7f00::/0": false,
	} {
		for _, address := range []string{"127.0.0.1:0", ":0"} {
			l := start(t, Options{Address: address, ProxyProtocol: []netip.Prefix{netip.MustParsePrefix(network)}})
			_, port, _ := net.SplitHostPort(l.Addr().String())
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(proxy)}}
			client, err := d.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			_, plain := accept(t, l).(*net.TCPConn)
			if plain == want {
				t.Errorf("%s of %s: a proxy is %t", proxy, network, !plain)
			}
			client.Close()
			l.Close()
		}
	}
}

func TestConnectionsWithoutARightHeader(t *testing.T) {
	for _, test := range []struct{ data, log string }{
		{"", "level=DEBUG"},
		{"G", "level=WARN"},
		{"GET / HTTP/1.1\r\n\r\n", `begins with something else`},
		{"PROXY TCP4 localhost 5.6.7.8 9 443\r\nGET / HTTP/1.1\r\n\r\n", "broken header of version 1"},
		{v2(0x21, 0x13, 12, block4) + "GET / HTTP/1.1\r\n\r\n", "broken header of version 2"},
		{"PROXY TCP4", "unexpected EOF"},
	} {
		var log logBuffer
		l := start(t, Options{ProxyProtocol: proxies, Logger: log.logger()})
		client := dial(t, proxy, l, test.data)
		client.CloseWrite()
		c := accept(t, l)
		if c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("%q: from %s", test.data, c.RemoteAddr())
		}
		if n, err := c.Read(make([]byte, 100)); n != 0 || err == nil {
			t.Errorf("%q: %d bytes can be read, %v", test.data, n, err)
		}
		if n, err := io.WriteString(c, "secret"); n != 0 || err == nil {
			t.Errorf("%q: %d bytes can be written, %v", test.data, n, err)
		}
		if n, err := c.(io.ReaderFrom).ReadFrom(strings.NewReader("secret")); n != 0 || err == nil {
			t.Errorf("%q: %d bytes can be written, %v", test.data, n, err)
		}
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		called := func(uintptr) bool { t.Errorf("%q: the socket is given out", test.data); return true }
		if raw.Read(called) == nil || raw.Write(called) == nil {
			t.Errorf("%q: the socket can be used", test.data)
		}
		if !strings.Contains(log.String(), test.log) || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "proxy=127.0.0.2:") {
			t.Errorf("%q: the log has %q, want one line with %q", test.data, log.String(), test.log)
		}
		c.Close()
		if got, _ := io.ReadAll(client); len(got) > 0 {
			t.Errorf("%q: the client got %q", test.data, got)
		}
	}
}

// One that keeps silent holds up neither Accept nor another's connection.
func TestSlowHeaderHoldsNobodyUp(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies, HeaderTimeout: patience})
	dial(t, proxy, l, "PROXY TCP4 1.2")
	dial(t, proxy, l, "")
	slow, silent := accept(t, l), accept(t, l)
	waiting := make(chan error)
	for _, c := range []net.Conn{slow, silent} {
		go func() {
			_, err := c.Read(make([]byte, 1))
			waiting <- err
		}()
	}
	dial(t, proxy, l, "PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\nhello")
	c := accept(t, l)
	if got := c.RemoteAddr().String(); got != "1.2.3.4:9" {
		t.Errorf("from %s", got)
	}
	// What waits for a header ends when it is closed elsewhere.
	slow.Close()
	silent.Close()
	for range 2 {
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

func TestHeaderTimeout(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies, HeaderTimeout: time.Millisecond})
	dial(t, proxy, l, "PROXY TCP4 1.2")
	c := accept(t, l)
	c.SetDeadline(time.Now().Add(patience)) // doesn't prolong it
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("reading: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading again: %v", err)
	}
}

// A deadline that is set before the header holds for it, and after it.
func TestDeadlinesAroundTheHeader(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies, HeaderTimeout: time.Hour})
	dial(t, proxy, l, "")
	c := accept(t, l)
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before the header: %v", err)
	}

	client := dial(t, proxy, l, "PROXY UNKNOWN\r\n")
	c = accept(t, l)
	c.SetDeadline(time.Time{})
	c.RemoteAddr() // the header's deadline is gone, and none is left
	h := c.(*conn).header
	if h.pending || !h.deadline.IsZero() {
		t.Errorf("pending %t, deadline %v", h.pending, h.deadline)
	}
	io.WriteString(client, "x")
	if n, err := c.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("after the header: %d bytes, %v", n, err)
	}
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline after the header: %v", err)
	}
}

// The socket below gives what follows the header, even if it was sent with it.
func TestSocketAfterTheHeader(t *testing.T) {
	l := start(t, Options{ProxyProtocol: proxies})
	for _, test := range headers {
		dial(t, proxy, l, test.header+"hello")
		c := accept(t, l)
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		c.(interface{ Unbuffered() }).Unbuffered()
		var got []byte
		for len(got) < 5 && err == nil {
			err = raw.Read(func(fd uintptr) bool {
				var p [100]byte
				n, e := syscall.Read(int(fd), p[:])
				if e == syscall.EAGAIN {
					return false
				}
				got = append(got, p[:max(n, 0)]...)
				return true
			})
		}
		if string(got) != "hello" || err != nil {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

func TestMaxConnections(t *testing.T) {
	l := start(t, Options{MaxConnections: 2})
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			accepted <- c
		}
	}()
	for range 5 {
		dial(t, other, l, "")
	}
	first, second := <-accepted, <-accepted
	select {
	case c := <-accepted:
		t.Fatalf("a third connection, from %s", c.RemoteAddr())
	case <-time.After(50 * time.Millisecond):
	}
	// A connection that is closed twice makes room for one.
	first.Close()
	if err := first.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	third := <-accepted
	select {
	case c := <-accepted:
		t.Fatalf("a connection too many, from %s", c.RemoteAddr())
	case <-time.After(50 * time.Millisecond):
	}
	l.Close() // ends the wait for a slot
	if c, ok := <-accepted; ok {
		t.Errorf("a connection of a closed listener, from %s", c.RemoteAddr())
	}
	second.Close()
	third.Close()
}

// A file is sent, and the connection closed in order, by net/http over a
// connection that is counted and comes from a proxy.
func TestHTTPServer(t *testing.T) {
	file := t.TempDir() + "/file"
	content := strings.Repeat("content ", 1<<16)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	l := start(t, Options{ProxyProtocol: proxies, MaxConnections: 1})
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Client", r.RemoteAddr)
		http.ServeFile(w, r, file)
	})}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	for i := range 3 {
		c := dial(t, proxy, l, fmt.Sprintf("PROXY TCP4 1.2.3.%d 5.6.7.8 9 443\r\nGET / HTTP/1.0\r\n\r\n", i))
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(got), content) || !strings.Contains(string(got), fmt.Sprintf("Client: 1.2.3.%d:9\r\n", i)) {
			t.Errorf("%d bytes, %v: %.200q", len(got), err, got)
		}
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// Without a bound and proxies, connections are the system's own.
func TestPlainConnection(t *testing.T) {
	l := start(t, Options{})
	dial(t, other, l, "")
	if c := accept(t, l); fmt.Sprintf("%T", c) != "*net.TCPConn" {
		t.Errorf("a %T", c)
	}
}

func TestErrors(t *testing.T) {
	taken := start(t, Options{}).Addr().String()
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{Address: taken}, "can't listen on " + taken + ": bind: address already in use; another program listens there"},
		{Options{Address: "192.0.2.1:0"}, "can't listen on 192.0.2.1:0: bind: cannot assign requested address; this machine has no such address"},
		{Options{Address: "127.0.0.1"}, "can't listen on 127.0.0.1: address 127.0.0.1: missing port in address"},
		{Options{Address: "127.0.0.1:0", MaxConnections: -1}, "negative"},
		{Options{Address: "127.0.0.1:0", HeaderTimeout: -1}, "negative"},
		{Options{Address: "127.0.0.1:0", ProxyProtocol: []netip.Prefix{{}}}, "no valid prefix"},
	} {
		l, err := Listen(test.o)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.o, err, test.want)
		}
	}
	if err := explain(":80", &net.OpError{Err: os.NewSyscallError("bind", syscall.EACCES)}); !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") {
		t.Error(err)
	}
}
