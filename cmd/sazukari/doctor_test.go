package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"mkd/megaki"
)

// examine runs sazukari doctor.
func examine(s *site, address string, args ...string) result {
	return command("", append([]string{"doctor", "--server", address, "--key", s.file("server.key.pub"), "--max-message", "100000"}, args...)...)
}

// steps checks how each step ended: ok, FAIL or -.
func steps(t *testing.T, got result, want string) {
	t.Helper()
	var ends []string
	for line := range strings.Lines(got.out) {
		if !strings.HasPrefix(line, " ") {
			ends = append(ends, strings.Fields(line)[0])
		}
	}
	code := 0
	if strings.Contains(want, "FAIL") {
		code = 1
	}
	if s := strings.Join(ends, " "); s != want || got.code != code {
		t.Errorf("code %d, %s, want %s\n%s%s", got.code, s, want, got.out, got.log)
	}
}

func contains(t *testing.T, got result, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got.out+got.log, w) {
			t.Errorf("no %q in\n%s%s", w, got.out, got.log)
		}
	}
}

func TestDoctor(t *testing.T) {
	status := http.StatusOK
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.org" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(status)
		io.WriteString(w, r.URL.Path)
	})
	got := examine(s, s.address, "--host", "example.org", "--path", "/a?b")
	steps(t, got, "ok ok ok ok ok ok ok")
	contains(t, got, "sha256sum server.key.cert", "the session is resumed in", "https://example.org/a?b: 200 OK", "a message of --max-message, 100000 bytes, gets a response (200)")

	got = examine(s, s.address)
	steps(t, got, "ok ok ok ok ok FAIL -")
	contains(t, got, "https://127.0.0.1/: 404 Not Found", "see match in the routes of config.yaml", "the step HTTP route failed")
	status = http.StatusBadGateway
	got = examine(s, s.address, "--host", "example.org")
	steps(t, got, "ok ok ok ok ok FAIL -")
	contains(t, got, "502 Bad Gateway", "is its backend running?")
	status = http.StatusUnauthorized
	steps(t, examine(s, s.address, "--host", "example.org"), "ok ok ok ok ok ok ok")
}

func TestDoctorOfOtherMessages(t *testing.T) {
	s := raw(t, func(msg []byte) ([]byte, error) {
		if string(msg) != "ping" {
			return nil, errGone
		}
		return []byte("pong"), nil
	})
	got := examine(s, s.address)
	steps(t, got, "ok ok ok ok FAIL - -")
	contains(t, got, "the server closes at this message", "give one with --message")
	got = examine(s, s.address, "--message", "ping")
	steps(t, got, "ok ok ok ok ok - -")
	contains(t, got, "4 bytes got a response of 4 bytes", "not tried, because of --message")
	got = examine(s, s.address, "--message", "pong")
	steps(t, got, "ok ok ok ok FAIL - -")
	contains(t, got, "match: {payload: raw}")

	raw(t, func([]byte) ([]byte, error) { return []byte("pong"), nil })
	got = examine(s, s.address)
	steps(t, got, "ok ok ok ok ok FAIL -")
	contains(t, got, `it begins with "pong"`, "Messages of this server aren't HTTP requests")
}

func TestDoctorWithoutASession(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	got := command("", "doctor", "--server", s.address, "--key", "nowhere")
	steps(t, got, "FAIL - - - - - -")
	contains(t, got, "nowhere: no such file", "Get server.key.pub from whoever runs the server")
	got = examine(s, "127.0.0.1:1")
	steps(t, got, "ok FAIL - - - - -")
	contains(t, got, "connection refused", "is --server the address of a megaki listener")

	other := t.TempDir() + "/other"
	if err := megaki.CreateKeyFiles(other); err != nil {
		t.Fatal(err)
	}
	got = command("", "doctor", "--server", s.address, "--key", other+".pub")
	steps(t, got, "ok ok FAIL - - - -")
	contains(t, got, "it doesn't have the private key of the pinned one", "Compare the keys (above)")

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	// Mostly a SYN looks like a malformed line to it. Behind patient it waits for more.
	for _, address := range []string{web.Listener.Addr().String(), patient(t, web.Listener.Addr().String())} {
		got = examine(s, address, "--timeout", "2s")
		steps(t, got, "ok ok FAIL - - - -")
		contains(t, got, "An HTTP server responds at this port, and no Megaki server")
	}
}

// patient listens in front of an HTTP server, and passes on only what begins like a request.
func patient(t *testing.T, server string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				begin := make([]byte, 4)
				if _, err := io.ReadFull(conn, begin); err != nil {
					return
				}
				if string(begin) != "GET " {
					io.Copy(io.Discard, conn)
					return
				}
				to, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer to.Close()
				to.Write(begin)
				go io.Copy(to, conn)
				io.Copy(conn, to)
			}()
		}
	}()
	return l.Addr().String()
}

// forgetful is a store that knows no session.
type forgetful struct{ megaki.SessionStore }

func (forgetful) Load(context.Context, megaki.Token) (*megaki.Record, error) { return nil, nil }

// TestDoctorFindsLimits are of a server that takes shorter messages than the
// client sends, and of one that forgets sessions.
func TestDoctorFindsLimits(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	pem, err := os.ReadFile(s.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := megaki.ParsePrivateKey(pem, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := func(srv *megaki.Server) string {
		srv.Keys = append(srv.Keys, key)
		srv.Handler = megaki.HandlerFunc(func(w *megaki.ResponseWriter, _ *megaki.Request) error {
			_, err := io.WriteString(w, "HTTP/1.1 204 No Content\r\n\r\n")
			return err
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		return l.Addr().String()
	}
	got := examine(s, start(&megaki.Server{MaxMessage: 30000}))
	steps(t, got, "ok ok ok ok ok ok ok")
	contains(t, got, "a message of 25000 bytes gets a response (204); one of 50000 bytes gets none", "Use --max-message 25000")
	got = examine(s, start(&megaki.Server{MaxMessage: 100}))
	steps(t, got, "ok ok ok ok ok ok FAIL")
	contains(t, got, "The server takes no longer message")
	got = examine(s, start(&megaki.Server{Sessions: forgetful{megaki.NewMemoryStore(10)}}))
	steps(t, got, "ok ok ok FAIL - - -")
	contains(t, got, "the server has forgotten the session", "Does a load balancer lead to several servers")
}

// TestDoctorShowsStatuses: what is no response has none, and its bytes don't reach the
// terminal, which "ESC c" resets.
func TestDoctorShowsStatuses(t *testing.T) {
	for message, want := range map[string]string{
		"HTTP/1.1 404 Not Found\r\n\r\n": " (404)",
		"HTTP/1.1 \x1bc OK\r\n\r\n":      "",
		"\x07 \x1bc":                     "",
		"":                               "",
	} {
		if got := status([]byte(message)); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

func TestDoctorPads(t *testing.T) {
	d := doctor{path: "/", host: "example.org"}
	for n := 200; n < 20000; n += 7 {
		message, err := d.padded(n)
		if err != nil || len(message) > n || len(message) < n-2 {
			t.Fatalf("%d: %d bytes, %v", n, len(message), err)
		}
		head, body, _ := strings.Cut(string(message), "\r\n\r\n")
		if !strings.HasSuffix(head, fmt.Sprintf("\r\nContent-Length: %d", len(body))) {
			t.Fatalf("%d: %q", n, head)
		}
	}
	if _, err := d.padded(50); err == nil {
		t.Error("a message of 50 bytes has a body")
	}
}
