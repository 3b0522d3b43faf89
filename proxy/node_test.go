package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mkd/config"
	"mkd/megaki"
)

// nodeVariable names the configuration of a process that is to be a node.
const nodeVariable = "MKD_TEST_NODE"

// node is a daemon in a process of its own, which a test may kill.
type node struct {
	addr string // of the listener app
	cmd  *exec.Cmd
	log  string
}

// runNode is the node's process. It prints the address of its listener, and ends with
// its standard input.
func runNode(path string) {
	if err := serveNode(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveNode(path string) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	logs, err := NewLogs(cfg.Log, os.Stderr)
	if err != nil {
		return err
	}
	defer logs.Close()
	d, err := New(cfg, logs)
	if err != nil {
		return err
	}
	if err := d.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(d.Addr("app"))
	io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return d.Shutdown(ctx)
}

// startNode starts a node. It ends with the test.
func startNode(t *testing.T, cfg *config.Config) *node {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{cmd: exec.Command(exe), log: filepath.Join(t.TempDir(), "log")}
	n.cmd.Env = append(os.Environ(), nodeVariable+"="+configFile(cfg))
	log, err := os.Create(n.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.cmd.Stderr = log
	stdin, err := n.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		n.kill()
		if t.Failed() {
			data, _ := os.ReadFile(n.log)
			t.Logf("log:\n%.20000s", data)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the node doesn't start: %v", err)
	}
	n.addr = strings.TrimSpace(line)
	return n
}

// kill ends the node with SIGKILL.
func (n *node) kill() {
	n.cmd.Process.Kill()
	n.cmd.Wait()
}

// configFile returns the file that a configuration was loaded from by load.
func configFile(cfg *config.Config) string {
	return filepath.Join(filepath.Dir(cfg.Storage.Path), "config.yaml")
}

// clientConfig returns the configuration of clients that pin the tests' key.
func clientConfig(t testing.TB) megaki.Config {
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
	return megaki.Config{ServerKey: public, ClientKey: own, HandshakeTimeout: 2 * time.Minute}
}

// begin does a handshake and returns the session.
func begin(ctx context.Context, addr string, cfg megaki.Config) (*megaki.Conn, megaki.Session, error) {
	c, err := megaki.Dial(ctx, "tcp", addr, &cfg)
	if err != nil {
		return nil, megaki.Session{}, err
	}
	return c, c.Session(), ask(ctx, c)
}

// resume resumes a session and returns the next one. Its error is errForgotten if the
// server asks for a handshake.
func resume(ctx context.Context, addr string, cfg megaki.Config, s megaki.Session) (megaki.Session, error) {
	cfg.Session = &s
	c, err := megaki.Dial(ctx, "tcp", addr, &cfg)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if !c.Resumed() {
		return s, errForgotten
	}
	return c.Session(), ask(ctx, c)
}

var errForgotten = errors.New("the session is forgotten")

// ask sends a message and checks the response.
func ask(ctx context.Context, c *megaki.Conn) error {
	response, err := c.RoundTrip(ctx, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	if err == nil && !strings.HasPrefix(string(response), "HTTP/1.1 200 ") {
		err = fmt.Errorf("the response is %q", response)
	}
	return err
}

// each does the same for 0 to n-1, some at a time, and returns the errors.
func each(n int, do func(int) error) error {
	slots := make(chan struct{}, 32)
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if len(errs) < 10 {
					errs = append(errs, fmt.Errorf("client %d: %w", i, err))
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
