package proxy

import (
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/keys"
)

// generations are the keys of a rotation: the next one, the one in the field, and the
// one that was stolen.
type generations struct {
	dir            string
	next, now, old *rsa.PublicKey
	root           ed25519.PublicKey
	private        ed25519.PrivateKey
	upstream       *httptest.Server
	configuration  string
	nextID, oldID  megaki.KeyID
	nowID          megaki.KeyID
}

func newGenerations(t *testing.T) *generations {
	t.Helper()
	g := &generations{dir: t.TempDir()}
	read := func(path string) (*rsa.PublicKey, megaki.KeyID) {
		data, err := os.ReadFile(path + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		key, err := megaki.ParsePublicKey(data)
		if err != nil {
			t.Fatal(err)
		}
		id, err := megaki.IDOf(key)
		if err != nil {
			t.Fatal(err)
		}
		return key, id
	}
	for _, name := range []string{"next.key", "old.key"} {
		if err := megaki.CreateKeyFiles(filepath.Join(g.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	present, err := serverKey()
	if err != nil {
		t.Fatal(err)
	}
	g.next, g.nextID = read(filepath.Join(g.dir, "next.key"))
	g.old, g.oldID = read(filepath.Join(g.dir, "old.key"))
	g.now, g.nowID = read(present)
	if g.root, g.private, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	g.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "key %s", r.Header.Get("X-Megaki-Key"))
	}))
	t.Cleanup(g.upstream.Close)
	g.configuration = `
listeners:
  app:
    megaki:
      address: "127.0.0.1:0"
      keys: [{file: ` + g.dir + `/next.key, name: next}, {file: KEY, name: now, sunset: 2099-01-01}, {file: ` + g.dir + `/old.key, name: old, retired: true}]
      key_list: ` + g.dir + `/keys.json
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {http: {upstreams: [{url: "` + g.upstream.URL + `"}]}}
routes:
  - backend: site
storage: ` + g.dir + `/storage
`
	return g
}

// sign makes the list that the listener serves.
func (g *generations) sign(t *testing.T, cfg *config.Config, serial uint64) {
	t.Helper()
	loaded, err := keys.Load(cfg.Listeners[0].Megaki)
	if err != nil {
		t.Fatal(err)
	}
	list, err := keys.List(loaded, "shop", serial, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := list.Sign(g.private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "keys.json"), signed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request as a client that pins a key, and returns the response's body.
func (g *generations) ask(t *testing.T, d *Daemon, pinned *rsa.PublicKey, trust megaki.KeyTrust, onKeys func(*megaki.KeyList, error)) (string, error) {
	t.Helper()
	cfg := clientConfig(t)
	cfg.ServerKey, cfg.KeyTrust, cfg.OnKeys = pinned, trust, onKeys
	c := &megaki.Client{Address: d.Addr("app").String(), Config: cfg}
	defer c.Close()
	response, err := c.Send(t.Context(), []byte("GET / HTTP/1.1\r\nHost: a\r\nX-Megaki-Key: forged\r\n\r\n"))
	_, body, _ := strings.Cut(string(response), "\r\n\r\n")
	return body, err
}

// A rotation with three generations of clients: those with the key in the field learn
// the next one over the connection that they trust, and move; those with the stolen key
// get its code; the counts are right after a restart.
func TestKeyRotation(t *testing.T) {
	g := newGenerations(t)
	if err := os.WriteFile(filepath.Join(g.dir, "keys.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, g.configuration)
	g.sign(t, cfg, 5)
	d, log := start(t, cfg)
	trust := megaki.KeyTrust{Root: g.root, Site: "shop", Serial: 5}

	var learned *megaki.KeyList
	onKeys := func(l *megaki.KeyList, err error) {
		if err != nil {
			t.Error(err)
		}
		learned = l
	}
	if body, err := g.ask(t, d, g.now, trust, onKeys); err != nil || body != "key now" {
		t.Errorf("the key in the field: %q, %v", body, err)
	}
	if learned == nil || len(learned.Keys) != 2 || learned.Keys[1].Sunset.IsZero() {
		t.Fatalf("learned %+v", learned)
	}
	successor, err := learned.Current(time.Now()).Key()
	if err != nil || !successor.Equal(g.next) {
		t.Fatalf("the successor is another key, %v", err)
	}
	if body, err := g.ask(t, d, successor, trust, onKeys); err != nil || body != "key next" {
		t.Errorf("the next key: %q, %v", body, err)
	}
	var refused *megaki.ServerError
	if _, err := g.ask(t, d, g.old, trust, nil); !errors.As(err, &refused) || refused.Code != megaki.CodeBlacklisted {
		t.Errorf("the stolen key: %v", err)
	}
	awaitLog(t, log, `"key":"next"`)

	// An old list, or one of somebody else, is refused, and its client served.
	for name, bad := range map[string]megaki.KeyTrust{
		"a lower serial":   {Root: g.root, Site: "shop", Serial: 6},
		"another site":     {Root: g.root, Site: "bank"},
		"another root key": {Root: make(ed25519.PublicKey, ed25519.PublicKeySize)},
	} {
		var seen error
		body, err := g.ask(t, d, g.now, bad, func(l *megaki.KeyList, err error) {
			if seen = err; l != nil {
				t.Errorf("%s: a list", name)
			}
		})
		if err != nil || body != "key now" || seen == nil {
			t.Errorf("%s: %q, %v, the list's error is %v", name, body, err, seen)
		}
	}

	// Counts are kept: 4 handshakes with the key in the field, one with each other.
	counts := map[megaki.KeyID]uint64{g.nextID: 1, g.nowID: 4, g.oldID: 1}
	check := func(when string, d *Daemon) {
		t.Helper()
		used, err := d.KeyUsage()
		if err != nil {
			t.Fatal(err)
		}
		for id, n := range counts {
			if u := used[id]; u.Hour != n || u.Day != n || u.Month != n {
				t.Errorf("%s: key %s: %+v, want %d", when, id.Short(), u, n)
			}
		}
	}
	check("before the restart", d)
	if err := d.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, _ := start(t, load(t, g.configuration))
	check("after the restart", again)
	if _, err := g.ask(t, again, g.now, trust, nil); err != nil {
		t.Error(err)
	}
	counts[g.nowID]++
	check("and it goes on", again)

	rows, err := keys.Report(cfg, keys.Open(filepath.Join(cfg.Storage.Path, keys.LedgerFile)))
	if err != nil || len(rows) != 3 || rows[1].Label() != "now" || rows[1].State() != "serves until 2099-01-01" || rows[2].State() != "retired" {
		t.Errorf("%+v, %v", rows, err)
	}
}

// The list is for HTTP messages alone: HTTP listeners and raw messages go to routes.
func TestKeyListIsForMessages(t *testing.T) {
	g := newGenerations(t)
	if err := os.WriteFile(filepath.Join(g.dir, "keys.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, strings.Replace(g.configuration, "routes:\n", "routes:\n  - {match: {payload: raw}, backend: site}\n", 1))
	g.sign(t, cfg, 1)
	d, log := start(t, cfg)
	resp, err := http.Get("http://" + d.Addr("web").String() + megaki.KeyListPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ContentLength != int64(len("key ")) {
		t.Errorf("on an HTTP listener: %d bytes", resp.ContentLength)
	}
	c := client(t, d, "app")
	for request, want := range map[string]string{
		"GET " + megaki.KeyListPath + " HTTP/1.1\r\nHost: a\r\n\r\n":                       "HTTP/1.1 200 OK",
		"HEAD " + megaki.KeyListPath + " HTTP/1.1\r\nHost: a\r\n\r\n":                      "HTTP/1.1 200 OK",
		"POST " + megaki.KeyListPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n": "HTTP/1.1 405 Method Not Allowed",
		"GET " + megaki.KeyListPath + "/x HTTP/1.1\r\nHost: a\r\n\r\n":                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain",
		"raw " + megaki.KeyListPath:                                                        "key now",
	} {
		got, err := c.Send(t.Context(), []byte(request))
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%q: %q, %v", request, got, err)
		}
		if strings.HasPrefix(request, "GET "+megaki.KeyListPath+" ") && !strings.Contains(string(got), `"signature": "`) {
			t.Errorf("%q: %q", request, got)
		}
	}
	awaitLog(t, log, `"method":"GET","host":"a","path":"`+megaki.KeyListPath+`","backend":"key_list","status":200,`)
	awaitLog(t, log, `"method":"POST","host":"a","path":"`+megaki.KeyListPath+`","backend":"key_list","status":405,`)
	os.Remove(filepath.Join(g.dir, "keys.json"))
	if got, err := c.Send(t.Context(), []byte("GET "+megaki.KeyListPath+" HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 500 ") {
		t.Errorf("without the file: %q, %v", got, err)
	}
	if err := syscall.Mkfifo(filepath.Join(g.dir, "keys.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Send(t.Context(), []byte("GET "+megaki.KeyListPath+" HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 500 ") {
		t.Errorf("with a pipe: %q, %v", got, err)
	}
}
