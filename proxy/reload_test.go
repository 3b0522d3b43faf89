package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/php"
)

// reloadSite is a daemon whose configuration changes.
type reloadSite struct {
	t         *testing.T
	dir       string
	daemon    *Daemon
	upstreams [2]string
}

// newReloadSite starts a daemon with a listener of each kind, and two upstreams that
// respond with their number, or change to another protocol and echo.
func newReloadSite(t *testing.T) *reloadSite {
	t.Helper()
	s := &reloadSite{t: t, dir: t.TempDir()}
	for i := range s.upstreams {
		s.upstreams[i] = tunnelUpstream(t, i)
	}
	s.certificate(0)
	s.write("kept.php", `<?php $ARCANGELO_USERSPACE = ['on_handle' => fn() => getmypid() . ' ' . arca::$request];`)
	s.write("changing.php", `<?php $ARCANGELO_USERSPACE = ['on_http' => fn (arca\Request $r) => 'php ' . getenv('NUMBER') . ' ' . $r->body()];`)
	s.daemon, _ = start(t, s.load(s.text(0)))
	return s
}

// tunnelUpstream returns the URL of a server that responds with a number and the
// client's session, or changes to another protocol and echoes.
func tunnelUpstream(t *testing.T, number int) string {
	t.Helper()
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "upstream %d %s", number, r.Header.Get("X-Megaki-Session"))
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, buffered)
	}))
	t.Cleanup(u.Close)
	return u.URL
}

func (s *reloadSite) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// certificate writes a certificate with a number.
func (s *reloadSite) certificate(n int) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(n + 1)),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

// served returns the number of the certificate that is served.
func (s *reloadSite) served() int {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.daemon.Addr("tls").String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	return int(conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()) - 1
}

// text returns the configuration of a number. Each changes something: routes each
// time, the upstream, a pool, the certificate, listeners now and then.
func (s *reloadSite) text(n int) string {
	extra, limit := "", 1000+n
	if n%4 >= 2 {
		extra = fmt.Sprintf("\n  extra%d: {http: {address: \"127.0.0.1:0\"}}", n%8)
	}
	return fmt.Sprintf(`
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_connections: %[1]d, max_messages_per_key: 20}}
  web: {http: {address: "127.0.0.1:0", max_connections: %[1]d}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {cert: tls.crt, key: tls.key}, max_connections: %[1]d}}%[2]s
backends:
  kept: {php: {script: kept.php, workers: {min: 2, max: 2}}}
  changing: {php: {script: changing.php, workers: {min: 1, max: 2}, env: {NUMBER: "%[3]d"}}}
  api: {http: {upstreams: [{url: "%[4]s"}]}}
routes:
  - {match: {payload: raw}, backend: kept}
  - {match: {paths: [/number]}, respond: {body: "number %[5]d"}}
  - {match: {paths: [/php]}, backend: changing}
  - {backend: api}
storage: storage
log: {access: false}
`, limit, extra, n/3, s.upstreams[n%2], n)
}

// load reads a configuration in the folder of the site.
func (s *reloadSite) load(text string) *config.Config {
	s.t.Helper()
	key, err := serverKey()
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("config.yaml", strings.ReplaceAll(text, "KEY", key))
	cfg, err := config.Load(filepath.Join(s.dir, "config.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

func (s *reloadSite) reload(text string) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	return s.daemon.Reload(ctx, s.load(text))
}

// broken are configurations that are refused, each in its way.
func (s *reloadSite) broken(n int) (text, want string) {
	text = s.text(n)
	switch n % 5 {
	case 0:
		s.write("broken.php", "<?php this is wrong")
		before, _, _ := strings.Cut(text, "  changing:")
		return strings.Replace(text, "script: changing.php", "script: broken.php", 1),
			fmt.Sprintf("config.yaml:%d:3: backends.changing: ParseError", 1+strings.Count(before, "\n"))
	case 1:
		s.write("broken.key", "no key")
		return strings.Replace(text, "KEY", "broken.key", 1), "config.yaml:3:3: listeners.app: server key"
	case 2:
		address := s.daemon.Addr("web").String()
		return strings.Replace(text, "\nbackends:", "\n  taken: {http: {address: \""+address+"\"}}\nbackends:", 1), ": listeners.taken: can't listen on " + address
	case 3:
		return text + "sessions: {capacity: 5}\n", "sessions (all but ttl) has changed: restart needed"
	}
	return text + "admin: {address: \"unix:other.sock\"}\n", "admin has changed: restart needed"
}

// status is what the pool of a backend does.
func (s *reloadSite) status(backend string) php.Status {
	return s.daemon.current.Load().backends[backend].Backend.(interface{ Status() php.Status }).Status()
}

// clients is a load of clients of all kinds. None of their requests may fail.
type clients struct {
	site    *reloadSite
	done    atomic.Int64
	began   atomic.Int64 // the number of the last configuration that was given
	inUse   atomic.Int64 // and of the last that was taken
	stop    context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
}

// newClients begins a load.
func newClients(s *reloadSite) *clients {
	c := &clients{site: s}
	c.ctx, c.stop = context.WithCancel(context.Background())
	web, secure := "http://"+s.daemon.Addr("web").String(), "https://"+s.daemon.Addr("tls").String()
	trust := &tls.Config{InsecureSkipVerify: true} // the certificates change
	for _, w := range []struct {
		url string
		*http.Transport
	}{
		{web, &http.Transport{}},
		{web, &http.Transport{DisableKeepAlives: true}},
		{secure, &http.Transport{TLSClientConfig: trust.Clone()}},
		{secure, &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}},
		{secure, &http.Transport{TLSClientConfig: trust.Clone(), DisableKeepAlives: true}},
	} {
		c.running.Go(func() {
			defer w.CloseIdleConnections()
			client := &http.Client{Transport: w.Transport, Timeout: time.Minute}
			c.repeat(func(method, path, body string) (string, error) { return c.http(client, method, w.url+path, body) })
		})
	}
	for range 2 {
		c.running.Go(func() {
			client := client(s.t, s.daemon, "app")
			defer client.Close()
			c.repeat(func(method, path, body string) (string, error) { return c.megaki(client, method, path, body) })
		})
	}
	for _, dial := range []func() (net.Conn, error){
		func() (net.Conn, error) { return net.Dial("tcp", s.daemon.Addr("web").String()) },
		func() (net.Conn, error) { return tls.Dial("tcp", s.daemon.Addr("tls").String(), trust) },
	} {
		conn, err := dial()
		if err != nil {
			s.t.Fatal(err)
		}
		c.running.Go(func() { c.tunnel(conn) })
	}
	return c
}

// end ends the load, and waits for it.
func (c *clients) end() {
	c.stop()
	c.running.Wait()
}

// repeat sends requests of all kinds until the load ends.
func (c *clients) repeat(send func(method, path, body string) (string, error)) {
	session := ""
	for n := 0; c.ctx.Err() == nil; n++ {
		body := fmt.Sprint("body ", n)
		got, err := send("POST", "/php", body)
		if err != nil || !strings.HasPrefix(got, "php ") || !strings.HasSuffix(got, body) {
			c.site.t.Errorf("POST /php: %q, %v", got, err)
		}
		first := c.inUse.Load()
		got, err = send("GET", "/number", "")
		var number int64
		if _, e := fmt.Sscanf(got, "number %d", &number); err != nil || e != nil || number < first || number > c.began.Load() {
			c.site.t.Errorf("GET /number: %q, %v; want %d to %d", got, err, first, c.began.Load())
		}
		got, err = send("POST", "/api", body)
		if err != nil || !strings.HasPrefix(got, "upstream ") {
			c.site.t.Errorf("POST /api: %q, %v", got, err)
			continue
		}
		if now := got[len("upstream 0"):]; session == "" {
			session = now
		} else if now != session {
			c.site.t.Errorf("the session was %q, and is %q: it wasn't resumed", session, now)
		}
		c.done.Add(3)
	}
}

func (c *clients) http(client *http.Client, method, url, body string) (string, error) {
	r, err := http.NewRequest(method, url, io.MultiReader(strings.NewReader(body))) // so that the client can't send it twice
	if err != nil {
		return "", err
	}
	r.ContentLength = int64(len(body))
	return read(client.Do(r))
}

func (c *clients) megaki(client *megaki.Client, method, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	message, err := client.Send(ctx, fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body))
	if err != nil {
		return "", err
	}
	return read(http.ReadResponse(bufio.NewReader(bytes.NewReader(message)), &http.Request{Method: method}))
}

// read returns the body of a response that must be a 200.
func read(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// tunnel changes to another protocol, and exchanges lines until the load ends.
func (c *clients) tunnel(conn net.Conn) {
	defer conn.Close()
	fmt.Fprint(conn, "GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		c.site.t.Errorf("a tunnel: %v, %v", resp, err)
		return
	}
	for n := 0; c.ctx.Err() == nil; n++ {
		conn.SetDeadline(time.Now().Add(time.Minute))
		line := fmt.Sprintln("line", n)
		if _, err := io.WriteString(conn, line); err != nil {
			c.site.t.Errorf("a tunnel: %v", err)
			return
		}
		if got, err := br.ReadString('\n'); err != nil || got != line {
			c.site.t.Errorf("a tunnel got %q, %v; want %q", got, err, line)
			return
		}
		c.done.Add(1)
		select {
		case <-time.After(5 * time.Millisecond):
		case <-c.ctx.Done():
		}
	}
}

// reloads changes the configuration again and again under a load of clients, at most
// every so often.
func reloads(t *testing.T, n int, every time.Duration) {
	s := newReloadSite(t)
	kept := s.status("kept")
	idle := inUse(t)
	c := newClients(s)
	defer c.end()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 1; i <= n; i++ {
		<-tick.C
		if text, want := s.broken(i); i%3 == 2 {
			if err := s.reload(text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("reload %d, of a broken configuration: %v; want %s", i, err, want)
			}
			continue
		}
		s.certificate(i)
		c.began.Store(int64(i))
		if err := s.reload(s.text(i)); err != nil {
			t.Fatalf("reload %d: %v", i, err)
		}
		c.inUse.Store(int64(i))
		if got := s.served(); got != i {
			t.Errorf("certificate %d is served, want %d", got, i)
		}
	}
	for before := c.done.Load(); c.done.Load() < before+100 && !t.Failed(); {
		time.Sleep(10 * time.Millisecond)
	}
	c.end()
	t.Logf("%d requests and lines, none failed", c.done.Load())
	if now := s.status("kept"); fmt.Sprint(pids(now)) != fmt.Sprint(pids(kept)) {
		t.Errorf("the workers of the section that didn't change were %v, and are %v", pids(kept), pids(now))
	}
	if err := s.reload(s.text(0)); err != nil {
		t.Fatal(err)
	}
	awaitInUse(t, idle)
}

func pids(s php.Status) (list []int) {
	for _, w := range s.Workers {
		list = append(list, w.PID)
	}
	return list
}

// use is what the process has of what could be left over.
type use struct{ descriptors, children, goroutines int }

func inUse(t *testing.T) (u use) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		u.children += len(strings.Fields(string(data)))
	}
	u.descriptors, u.goroutines = len(fds), runtime.NumGoroutine()
	return u
}

// lazily is how many descriptors and goroutines may be there that are made when they
// are first needed, such as those for connections that rest. Whatever leaks, each
// reload leaks.
const lazily = 3

// awaitInUse waits until the process has no more than it had.
func awaitInUse(t *testing.T, most use) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		http.DefaultClient.CloseIdleConnections()
		now := inUse(t)
		if now.descriptors <= most.descriptors+lazily && now.children <= most.children && now.goroutines <= most.goroutines+lazily {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("there are %+v, and were %+v\n%s", now, most, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestReloadUnderLoad: no request fails and no tunnel ends while the configuration
// changes, nor when a broken one is refused.
func TestReloadUnderLoad(t *testing.T) { reloads(t, 9, 200*time.Millisecond) }
