package proxy

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/logs"
)

// serverKey makes key files once for all tests.
var serverKey = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mkd-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "server.key")
	return path, megaki.CreateKeyFiles(path)
})

var clientKey = sync.OnceValues(megaki.GenerateKey)

func TestMain(m *testing.M) {
	if path := os.Getenv(nodeVariable); path != "" {
		runNode(path)
		return
	}
	code := m.Run()
	if path, err := serverKey(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// load reads a configuration in which KEY, SITE and DIR stand for the test's
// files.
func load(t testing.TB, text string) *config.Config {
	t.Helper()
	key, err := serverKey()
	if err != nil {
		t.Fatal(err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	text = strings.NewReplacer("KEY", key, "SITE", filepath.Join(testdata, "site.php"), "DIR", dir).Replace(text)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs a configuration until the test ends. The log is in the file that
// it returns.
func start(t *testing.T, cfg *config.Config) (p *Daemon, log string) {
	t.Helper()
	return startWith(t, cfg, nil)
}

// startWith is start with sockets of another daemon.
func startWith(t *testing.T, cfg *config.Config, sockets []Socket) (p *Daemon, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	to, err := logOutput(cfg.Log, out)
	if err != nil {
		t.Fatal(err)
	}
	options := logOptions(cfg.Log)
	options.FlushAfter = 10 * time.Millisecond // awaitLog would wait a second for each access line
	logs, err := logs.New(to, options)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = New(cfg, logs); err != nil {
		t.Fatal(err)
	}
	p.Inherit(sockets)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		logs.Close()
		out.Close()
		if t.Failed() {
			data, _ := os.ReadFile(log)
			t.Logf("log:\n%s", data)
		}
	})
	return p, log
}

func client(t testing.TB, p *Daemon, listener string) *megaki.Client {
	t.Helper()
	path, err := serverKey()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	public, err := megaki.ParsePublicKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	own, err := clientKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &megaki.Client{Address: p.Addr(listener).String(), Config: megaki.Config{ServerKey: public, ClientKey: own}}
	t.Cleanup(func() { c.Close() })
	return c
}

const oneListener = `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  site: {php: {script: SITE, workers: {min: 2, max: 2}, timeout: 500ms}}
routes:
  - match: {payload: raw}
    backend: site
`

// status is of a response that must be one whole HTTP response.
func status(t *testing.T, response []byte) int {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(response))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%v in %q", err, response)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || int64(len(body)) != resp.ContentLength {
		t.Fatalf("%v in %q", err, response)
	}
	return resp.StatusCode
}

func awaitLog(t *testing.T, path, text string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), text) {
			return string(data)
		}
		if time.Now().After(deadline) {
			t.Fatalf("never in the log: %s", text)
		}
	}
}

// newMegakiConn does the handshake of a client on a connection.
func newMegakiConn(t *testing.T, c *megaki.Client, conn net.Conn) (*megaki.Conn, error) {
	t.Helper()
	return megaki.NewConn(t.Context(), conn, &c.Config)
}
