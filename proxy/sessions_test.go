package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mkd/config"
	"mkd/internal/testserver/redisserver"
	"mkd/megaki"
)

// sessionsIn returns a configuration whose sessions are in a store, sealed with the
// secret in a file that has a letter over and over. Its timeout is that of a slow
// machine.
func sessionsIn(t *testing.T, store, letter string) *config.Config {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat(letter, 64)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], handshake_timeout: 2m}}
backends:
  site: {files: {root: DIR}}
routes:
  - respond: {status: 200, body: ok}
sessions: {timeout: 20s, secret_file: `+secret+`, store: `+store+`}
`)
}

func inRedis(addresses ...string) string {
	return fmt.Sprintf("{redis: {addresses: [%s]}}", `"`+strings.Join(addresses, `", "`)+`"`)
}

// A session that began on one node is resumed on another; all are, when their node is
// killed.
func TestSharedSessions(t *testing.T) { testSharedSessions(t, 40) }

func testSharedSessions(t *testing.T, clients int) {
	server := redisserver.Start(t)
	cfg := sessionsIn(t, inRedis(server.Addr), "a")
	a, b := startNode(t, cfg), startNode(t, cfg)
	client := clientConfig(t)
	live := make([]megaki.Session, clients)
	err := each(clients, func(i int) (err error) {
		var c *megaki.Conn
		if c, live[i], err = begin(t.Context(), a.addr, client); err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() }) // until then the connection stays open
		if i%10 == 0 {                  // some go to the other node, and come back
			if live[i], err = resume(t.Context(), b.addr, client, live[i]); err == nil {
				live[i], err = resume(t.Context(), a.addr, client, live[i])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a.kill()
	if err := each(clients, func(i int) (err error) {
		live[i], err = resume(t.Context(), b.addr, client, live[i])
		return err
	}); err != nil {
		t.Errorf("on the other node: %v", err)
	}

	// Without the secret nothing can be made of what is in Redis.
	stranger := startNode(t, sessionsIn(t, inRedis(server.Addr), "b"))
	if _, err := resume(t.Context(), stranger.addr, client, live[0]); !errors.Is(err, errForgotten) {
		t.Errorf("without the secret: %v", err)
	}
	if _, err := resume(t.Context(), b.addr, client, live[0]); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// While Redis is away, no message fails and handshakes go on; when it is back, sessions
// can be resumed again.
func TestRedisGoesAway(t *testing.T) {
	server := redisserver.Start(t)
	d, _ := start(t, sessionsIn(t, inRedis(server.Addr), "a"))
	addr, client := d.Addr("app").String(), clientConfig(t)
	stop := underLoad(t, addr, client)
	server.Kill()
	await(t, "the circuit opens", func() bool {
		s := newSession(t, addr, client) // a handshake
		_, err := resume(t.Context(), addr, client, s)
		if err != nil && !errors.Is(err, errForgotten) {
			t.Fatal(err)
		}
		return d.sessionStats().Guard.Down
	})
	if c, _, err := begin(t.Context(), addr, client); err != nil {
		t.Errorf("a handshake: %v", err)
	} else {
		c.Close()
	}
	server.Restart()
	await(t, "sessions are resumed again", func() bool {
		_, err := resume(t.Context(), addr, client, newSession(t, addr, client))
		return err == nil
	})
	stop()
	if s := d.sessionStats(); s.Kind != "redis" || s.Sessions != -1 || s.Guard.Down || s.Guard.Failures == 0 || s.Guard.Swaps == 0 {
		t.Errorf("%+v", s)
	}
}

func newSession(t *testing.T, addr string, client megaki.Config) megaki.Session {
	t.Helper()
	c, s, err := begin(t.Context(), addr, client)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	return s
}

// underLoad sends messages on two connections until the function that it returns is
// called, which fails the test if one has failed.
func underLoad(t *testing.T, addr string, client megaki.Config) (stop func()) {
	t.Helper()
	var done atomic.Bool
	var sent atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, 2)
	for range cap(failed) {
		c, _, err := begin(t.Context(), addr, client)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		wg.Go(func() {
			for !done.Load() {
				if err := ask(context.Background(), c); err != nil {
					failed <- err
					return
				}
				sent.Add(1)
				time.Sleep(time.Millisecond) // the machine has other work too
			}
		})
	}
	return func() {
		t.Helper()
		done.Store(true)
		wg.Wait()
		select {
		case err := <-failed:
			t.Errorf("after %d messages: %v", sent.Load(), err)
		default:
		}
		if sent.Load() == 0 {
			t.Error("no message was sent")
		}
	}
}

// A daemon that is killed under load finds its sessions again: all that were complete a
// moment before.
func TestFileSurvivesKill(t *testing.T) { testFileSurvivesKill(t, 2, 300*time.Millisecond) }

func testFileSurvivesKill(t *testing.T, kills int, load time.Duration) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	cfg := sessionsIn(t, "{file: {path: "+path+"}}", "a")
	client := clientConfig(t)
	for range kills {
		n := startNode(t, cfg)
		sessions := completeSessions(t, n, client, load)
		checkFile(t, path)
		n = startNode(t, cfg)
		err := each(len(sessions), func(i int) error {
			_, err := resume(t.Context(), n.addr, client, sessions[i])
			return err
		})
		if err != nil {
			t.Errorf("of %d sessions: %v", len(sessions), err)
		}
		n.kill()
	}
}

// completeSessions does handshakes until a time is over and some are complete, then
// kills the node under this load, and returns the sessions that had been complete for
// 100 ms.
func completeSessions(t *testing.T, n *node, client megaki.Config, load time.Duration) []megaki.Session {
	t.Helper()
	type complete struct {
		session megaki.Session
		at      time.Time
	}
	var mu sync.Mutex
	var all []complete
	var killed atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !killed.Load() {
				c, s, err := begin(context.Background(), n.addr, client)
				if err != nil {
					if !killed.Load() {
						t.Error(err)
					}
					return
				}
				c.Close()
				// Its key changes, as that of most sessions does.
				if s, err = resume(context.Background(), n.addr, client, s); err != nil {
					if !killed.Load() {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				all = append(all, complete{s, time.Now()})
				mu.Unlock()
			}
		})
	}
	begun := time.Now()
	await(t, "sessions are complete", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return t.Failed() || time.Since(begun) > load && len(all) > 4 && time.Since(all[3].at) > 100*time.Millisecond
	})
	killed.Store(true)
	before := time.Now().Add(-100 * time.Millisecond)
	n.kill()
	wg.Wait()
	var sessions []megaki.Session
	for _, c := range all {
		if c.at.Before(before) {
			sessions = append(sessions, c.session)
		}
	}
	if len(sessions) == 0 {
		t.Fatal("no session was complete")
	}
	return sessions
}

// checkFile fails the test if the file is damaged.
func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 20 * time.Second, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	})
}

// TestActiveSessionIsNotEvictedFirst: a session with messages was forgotten while one without
// stayed.
func TestActiveSessionIsNotEvictedFirst(t *testing.T) {
	for name, store := range map[string]string{"memory": "{memory: {}}", "file": "{file: {path: DIR/sessions.db}}"} {
		t.Run(name, func(t *testing.T) {
			cfg := sessionsIn(t, store, "a")
			cfg.Sessions.Capacity = 2
			d, _ := start(t, cfg)
			addr, client := d.Addr("app").String(), clientConfig(t)
			dial := func() *megaki.Conn {
				c, err := megaki.Dial(t.Context(), "tcp", addr, &client)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			busy, idle := dial(), dial()
			if err := ask(t.Context(), busy); err != nil {
				t.Fatal(err)
			}
			dial()
			if _, err := resume(t.Context(), addr, client, busy.Session()); err != nil {
				t.Errorf("the busy session: %v", err)
			}
			if _, err := resume(t.Context(), addr, client, idle.Session()); !errors.Is(err, errForgotten) {
				t.Errorf("the idle session: %v", err)
			}
		})
	}
}

func TestShortSecret(t *testing.T) {
	cfg := sessionsIn(t, "{file: {path: DIR/s.db}}", "a")
	if err := os.WriteFile(cfg.Sessions.SecretFile, []byte(" short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	logs, err := NewLogs(cfg.Log, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if _, err := New(cfg, logs); err == nil || !strings.Contains(err.Error(), "has 5 bytes") {
		t.Errorf("%v", err)
	}
}

// TestSessionsTakenBack: an upgrade that fails gives the sessions back. The status is there
// all the time.
func TestSessionsTakenBack(t *testing.T) {
	for name, store := range map[string]string{"memory": "{memory: {}}", "file": "{file: {path: DIR/sessions.db}}"} {
		t.Run(name, func(t *testing.T) {
			d, _ := start(t, sessionsIn(t, store, "a"))
			addr, client := d.Addr("app").String(), clientConfig(t)
			s := newSession(t, addr, client)
			var done atomic.Bool
			var asking sync.WaitGroup
			defer asking.Wait()
			defer done.Store(true)
			asking.Go(func() {
				for !done.Load() {
					d.sessionStats()
				}
			})
			for range 5 {
				_, end, err := d.GiveUpSessions()
				if err != nil {
					t.Fatal(err)
				}
				if stats := d.sessionStats(); stats.Kind != name {
					t.Errorf("%+v", stats)
				}
				if err := end(nil); err != nil {
					t.Fatal(err)
				}
				if s, err = resume(t.Context(), addr, client, s); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
