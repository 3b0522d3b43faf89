package libsazukari_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/megaki"
)

// mkd is a daemon that runs.
type mkd struct {
	dir     string
	address string
	cmd     *exec.Cmd
}

var mkdBinary = sync.OnceValues(func() (string, error) {
	dir, err := build()
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "mkd")
	if out, err := exec.Command("go", "build", "-race", "-pgo=off", "-o", exe, "../cmd/mkd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ../cmd/mkd: %v\n%s", err, out)
	}
	return exe, nil
})

const config = `
listeners:
  app:
    megaki: {address: "%s", keys: [server.key], max_message: 2MiB}
backends:
  site:
    php: {script: script.php, workers: {min: 2, max: 2}}
routes:
  - {match: {payload: raw}, backend: site}
  - {backend: site}
`

const script = `<?php
$ARCANGELO_USERSPACE = [
    'on_handle' => fn () => match (arca::$request) {
        'empty' => '',
        'long' => str_repeat('x', 1048577),
        'throw' => throw new Exception('on purpose'),
        default => arca::$request,
    },
    'on_http' => fn (arca\Request $r) => arca\Response::text(
        "$r->method {$_SERVER['REQUEST_URI']} " . strlen($r->body()) . ' ' . ($_SERVER['MEGAKI_SESSION'] ?? '') . "\n"),
];
`

// startMKD runs mkd with a script that sends messages back.
func startMKD(t *testing.T) *mkd {
	t.Helper()
	exe, err := mkdBinary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mkd{dir: t.TempDir(), address: l.Addr().String()}
	l.Close()
	write(t, filepath.Join(m.dir, "config.yaml"), fmt.Sprintf(config, m.address))
	write(t, filepath.Join(m.dir, "script.php"), script)
	for _, name := range []string{"server.key", "other.key"} {
		run(t, exec.Command(exe, "keygen", "--out", filepath.Join(m.dir, name)))
	}
	m.start(t, exe)
	t.Cleanup(func() { m.stop(t) })
	return m
}

func (m *mkd) start(t *testing.T, exe string) {
	t.Helper()
	m.cmd = exec.Command(exe, "run")
	m.cmd.Dir = m.dir
	log := new(strings.Builder)
	m.cmd.Stderr = log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.Dial("tcp", m.address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			m.stop(t)
			t.Fatalf("mkd doesn't listen:\n%s", log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (m *mkd) stop(t *testing.T) {
	m.cmd.Process.Signal(os.Interrupt)
	if err := m.cmd.Wait(); err != nil {
		t.Errorf("mkd: %v\n%s", err, m.cmd.Stderr)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reference returns the two builds of the old program: linked with a library
// without versions in whose place ours runs, and under sanitizers.
func reference(t *testing.T, address, key string, args ...string) []*exec.Cmd {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := programs(t)
	args = append([]string{host, port, key}, args...)
	swapped := exec.Command(filepath.Join(dir, "reference"), args...)
	swapped.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir)
	return []*exec.Cmd{swapped, exec.Command(filepath.Join(dir, "reference-sanitized"), args...)}
}

func runReference(t *testing.T, address, key string, args ...string) {
	t.Helper()
	for _, cmd := range reference(t, address, key, args...) {
		if out := run(t, cmd); !strings.HasSuffix(out, "ok\n") {
			t.Errorf("%v printed %q", args, out)
		}
	}
}

// TestReferenceProgram runs a program for the old interface against mkd and a
// PHP worker.
func TestReferenceProgram(t *testing.T) {
	m := startMKD(t)
	key := filepath.Join(m.dir, "server.key.cert")
	session := filepath.Join(t.TempDir(), "session")

	runReference(t, m.address, key, "sizes")
	runReference(t, m.address, key, "same")
	runReference(t, m.address, key, "save", session)
	runReference(t, m.address, key, "resume", session, "none")
	runReference(t, m.address, key, "send", "long", "response_too_long")
	runReference(t, m.address, key, "send", "throw", "io")

	// mkd can't open a SYN to another key, and closes.
	runReference(t, m.address, filepath.Join(m.dir, "other.key.cert"), "handshake", "io")

	// After a restart mkd doesn't know the session: a handshake on the same
	// connection makes another, which can be resumed twice.
	exe, _ := mkdBinary()
	for range 2 {
		m.stop(t)
		m.start(t, exe)
		cmds := reference(t, m.address, key, "resume", session, "handshake_needed")
		run(t, cmds[0])
		runReference(t, m.address, key, "resume", session, "none")
	}
}

// TestGet runs the example: it connects, resumes, and sends HTTP requests.
func TestGet(t *testing.T) {
	m := startMKD(t)
	host, port, _ := net.SplitHostPort(m.address)
	session := filepath.Join(t.TempDir(), "session")
	get := func(key, path string) string {
		return run(t, exec.Command(filepath.Join(programs(t), "get"), host, port, filepath.Join(m.dir, key), path, session))
	}
	first := get("server.key.pub", "/hello?a=b")
	if !strings.HasPrefix(first, "200\nGET /hello?a=b 0 ") {
		t.Errorf("it printed %q", first)
	}
	if second := get("server.key.cert", "/hello?a=b"); second != first { // of the same session
		t.Errorf("it printed %q, and before %q", second, first)
	}
	info, err := os.Stat(session)
	if err != nil || info.Size() != 48 || info.Mode().Perm() != 0o600 {
		t.Errorf("the session's file: %v, %v", info, err)
	}
}

// server runs package megaki's server with a key of its own.
func server(t *testing.T, s *megaki.Server) (address, keyFile string) {
	t.Helper()
	key, err := megaki.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	s.Keys = []crypto.Decrypter{key}
	s.Handler = megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
		if string(r.Body) == "empty" {
			return nil
		}
		_, err := w.Write(r.Body)
		return err
	})
	keyFile = filepath.Join(t.TempDir(), "key")
	writeKey(t, keyFile, key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		<-done
	})
	return l.Addr().String(), keyFile
}

// writeKey writes the 260 bytes of a public key.
func writeKey(t *testing.T, file string, key *rsa.PrivateKey) {
	t.Helper()
	pinned := binary.BigEndian.AppendUint32(key.N.FillBytes(make([]byte, 256)), uint32(key.E))
	write(t, file, string(pinned))
}

// TestPackageMegaki runs the old program against package megaki's server.
func TestPackageMegaki(t *testing.T) {
	address, key := server(t, new(megaki.Server))
	session := filepath.Join(t.TempDir(), "session")
	runReference(t, address, key, "sizes")
	runReference(t, address, key, "same")
	runReference(t, address, key, "save", session)
	runReference(t, address, key, "resume", session, "none")
}

// TestLostRSTORACK loses the server's packet in the middle of a resumption, some
// times: the session can be resumed all the same.
func TestLostRSTORACK(t *testing.T) {
	address, key := server(t, new(megaki.Server))
	session := filepath.Join(t.TempDir(), "session")
	runReference(t, address, key, "save", session)
	before, err := os.ReadFile(session)
	if err != nil {
		t.Fatal(err)
	}
	lossy, forwarded := lossyProxy(t, address)
	for range 3 { // a server keeps 4 pending keys
		run(t, reference(t, lossy, key, "resume", session, "io")[0])
	}
	if n := forwarded.Load(); n != 3*106 {
		t.Fatalf("%d bytes reached the server, want 3 RSTORs of 106", n)
	}
	run(t, reference(t, address, key, "resume", session, "none")[0])
	after, err := os.ReadFile(session)
	if err != nil {
		t.Fatal(err)
	}
	if string(after[:16]) != string(before[:16]) || string(after) == string(before) {
		t.Error("the session isn't the same one under another key")
	}
}

// lossyProxy forwards what clients send, waits for the server's response, and
// closes without passing it on.
func lossyProxy(t *testing.T, address string) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	forwarded := new(atomic.Int64)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			lose(t, client, address, forwarded)
		}
	}()
	return l.Addr().String(), forwarded
}

func lose(t *testing.T, client net.Conn, address string, forwarded *atomic.Int64) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer server.Close()
	packet := make([]byte, 106) // RSTOR, RSTOR-ACK
	if _, err := io.ReadFull(client, packet); err != nil {
		t.Error(err)
		return
	}
	n, _ := server.Write(packet)
	forwarded.Add(int64(n))
	if _, err := io.ReadFull(server, packet); err != nil || packet[5] != 6 {
		t.Errorf("no RSTOR-ACK: %v, %x", err, packet[:6])
	}
}
