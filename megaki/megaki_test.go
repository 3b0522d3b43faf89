package megaki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// testKey is the private key of the servers in tests; testClientKey the
// clients'. Made once: it takes a while under -race.
var (
	testKey       = sync.OnceValue(mustKey)
	testClientKey = sync.OnceValue(mustKey)
)

func mustKey() *rsa.PrivateKey {
	key, err := GenerateKey()
	if err != nil {
		panic(err)
	}
	return key
}

// echo responds to a message with the message.
func echo(w *ResponseWriter, r *Request) error {
	_, err := w.Write(r.Body)
	return err
}

// start serves on loopback until the test ends, and returns the address.
func start(t testing.TB, s *Server) string {
	t.Helper()
	if s.Keys == nil {
		s.Keys = []crypto.Decrypter{testKey()}
	}
	if s.Handler == nil {
		s.Handler = HandlerFunc(echo)
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		if n := s.memory.InUse(); n != 0 {
			t.Errorf("%d bytes of message memory are in use after the end", n)
		}
	})
	return l.Addr().String()
}

func clientConfig() *Config {
	return &Config{ServerKey: &testKey().PublicKey, ClientKey: testClientKey()}
}

func dial(t testing.TB, addr string, cfg *Config) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), "tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func checkEcho(t testing.TB, c *Conn, size int) {
	t.Helper()
	message := make([]byte, size)
	rand.Read(message)
	response, err := c.RoundTrip(context.Background(), message)
	if err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	if !bytes.Equal(response, message) {
		t.Fatalf("%d bytes came back as %d others", size, len(response))
	}
}

func TestRoundTrip(t *testing.T) {
	addr := start(t, &Server{})
	c := dial(t, addr, clientConfig())
	for _, size := range []int{1, 15, 16, 17, 32, 877, 1000, 1062, 1063, 1078, 1079, 4016, 4017, 8193, 1<<20 - 1, 1 << 20} {
		checkEcho(t, c, size)
	}
}

func TestResume(t *testing.T) {
	addr := start(t, &Server{})
	c := dial(t, addr, clientConfig())
	checkEcho(t, c, 100)
	for range 10 {
		s := c.Session()
		cfg := clientConfig()
		cfg.Session = &s
		next := dial(t, addr, cfg)
		if !next.Resumed() {
			t.Fatal("not resumed")
		}
		if got := next.Session(); got.Token != s.Token || got.Key == s.Key {
			t.Fatal("resuming keeps the token and changes the key")
		}
		checkEcho(t, c, 100) // the older connection goes on
		checkEcho(t, next, 100)
		c = next
	}
}

func TestUnknownSessionFallsBackToAHandshake(t *testing.T) {
	addr := start(t, &Server{})
	cfg := clientConfig()
	cfg.Session = &Session{}
	c := dial(t, addr, cfg)
	if c.Resumed() {
		t.Fatal("resumed")
	}
	checkEcho(t, c, 100)
}

func TestLargestMessage(t *testing.T) {
	addr := start(t, &Server{MaxMessage: MaxMessageLimit})
	cfg := clientConfig()
	cfg.MaxMessage = MaxMessageLimit
	checkEcho(t, dial(t, addr, cfg), MaxMessageLimit)
}

func TestShutdownWaitsForResponses(t *testing.T) {
	entered, finish := make(chan bool), make(chan bool)
	s := &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		if string(r.Body) == "slow" {
			entered <- true
			<-finish
		}
		return echo(w, r)
	})}
	addr := start(t, s)
	idle, busy := dial(t, addr, clientConfig()), dial(t, addr, clientConfig())
	checkEcho(t, idle, 10)
	returned := make(chan error)
	go func() {
		_, err := busy.RoundTrip(context.Background(), []byte("slow"))
		returned <- err
	}()
	<-entered
	down := make(chan error)
	go func() { down <- s.Shutdown(context.Background()) }()
	eventually(t, "the busy connection alone is left", func() bool { return s.Connections() == 1 })
	if _, err := idle.RoundTrip(t.Context(), []byte("x")); err == nil {
		t.Error("an idle connection was returned")
	}
	select {
	case err := <-down:
		t.Errorf("Shutdown didn't wait: %v", err)
	default:
	}
	close(finish)
	if err := <-returned; err != nil {
		t.Errorf("the message in flight: %v", err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestClientReconnects(t *testing.T) {
	addr := start(t, &Server{MaxMessagesPerKey: 3, IdleTimeout: 20 * time.Millisecond})
	c := &Client{Address: addr, Config: *clientConfig()}
	defer c.Close()
	for i := 0; i < 20 || c.conn == nil; i++ { // until a response came last
		if i == 1000 {
			t.Fatal("no response came")
		}
		if i%5 == 0 && c.conn != nil {
			for !stale(c.conn) { // the server closes it when it was idle
				time.Sleep(time.Millisecond)
			}
		}
		if _, err := c.Send(t.Context(), []byte("x")); err != nil {
			// Closed while the message was on its way: nobody can know.
			t.Logf("message %d: %v", i, err)
		}
	}
	if !c.conn.Resumed() {
		t.Error("not resumed")
	}
}
