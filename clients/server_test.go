package clients_test

import (
	"bufio"
	"bytes"
	"crypto"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mkd/megaki"
)

var serverKey = sync.OnceValues(megaki.GenerateKey)

// server is a server for the clients' own tests: what they expect of it is in
// clients/python/tests/test_client.py.
type server struct{ address, keyFile string }

func startServer(t *testing.T) server {
	t.Helper()
	key, err := serverKey()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &megaki.Server{Keys: []crypto.Decrypter{key}, Handler: megaki.HandlerFunc(respond)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	public, err := megaki.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	s := server{l.Addr().String(), filepath.Join(t.TempDir(), "server.key.pub")}
	if err := os.WriteFile(s.keyFile, public, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// respond returns a message as it is, or what an HTTP request has.
func respond(w *megaki.ResponseWriter, m *megaki.Request) error {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.Body)))
	if err != nil {
		_, err := w.Write(m.Body)
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	status := "200 OK"
	if r.URL.Path == "/missing" {
		status = "404 Not Found"
	}
	text := fmt.Sprintf("%s %s%s %s", r.Method, r.Host, r.RequestURI, body)
	fmt.Fprintf(w, "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nSession: %s\r\nContent-Length: %d\r\n\r\n", status, m.Session, len(text))
	if r.Method != http.MethodHead {
		_, err = io.WriteString(w, text)
	}
	return err
}
