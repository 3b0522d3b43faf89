package certs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"

	"mkd/internal/testserver/redisserver"
)

func redisStorage(t *testing.T, server *redisserver.Server, secret byte) *RedisStorage {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { client.Close() })
	s, err := NewRedisStorage(client, "mkd:storage:", bytes.Repeat([]byte{secret}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The storage in Redis does what certmagic's own storage in a folder does.
func TestRedisStorageIsLikeFiles(t *testing.T) {
	do := func(s certmagic.Storage) string {
		var log strings.Builder
		note := func(what string, value any, err error) {
			if errors.Is(err, fs.ErrNotExist) {
				err = fs.ErrNotExist
			}
			fmt.Fprintf(&log, "%s: %v, %v\n", what, value, err)
		}
		load := func(key string) {
			v, err := s.Load(t.Context(), key)
			note("load "+key, string(v), err)
			info, err := s.Stat(t.Context(), key)
			if err == nil && info.IsTerminal && time.Since(info.Modified) > time.Minute {
				t.Errorf("%s was modified at %v", key, info.Modified)
			}
			size := info.Size
			if !info.IsTerminal {
				size = 0 // of a folder it means nothing
			}
			note("stat "+key, fmt.Sprint(info.Key, size, info.IsTerminal), err)
			note("exists "+key, s.Exists(t.Context(), key), nil)
		}
		list := func(path string, recursive bool) {
			l, err := s.List(t.Context(), path, recursive)
			note(fmt.Sprintf("list %q %t", path, recursive), l, err)
		}
		load("a/b/c")
		list("a", true)
		for _, key := range []string{"a/b/c", "a/b/d/e", "a/f", "ab/g"} {
			note("store "+key, nil, s.Store(t.Context(), key, []byte("value of "+key)))
		}
		note("store again", nil, s.Store(t.Context(), "a/f", nil))
		for _, key := range []string{"a/b/c", "a/f", "ab/g", "a/b/x", "x"} {
			load(key)
		}
		note("a folder", s.Exists(t.Context(), "a/b"), nil)
		for _, path := range []string{"a", "a/b", "ab", "x"} {
			list(path, false)
			list(path, true)
		}
		note("delete", nil, s.Delete(t.Context(), "a/f"))
		note("delete what isn't there", nil, s.Delete(t.Context(), "a/f"))
		load("a/f")
		note("delete a folder", nil, s.Delete(t.Context(), "a/b"))
		load("a/b/c")
		load("a/b/d/e")
		load("ab/g")
		return log.String()
	}
	have := do(redisStorage(t, redisserver.Start(t), 1))
	want := do(&certmagic.FileStorage{Path: filepath.Join(t.TempDir(), "s")})
	for i, line := range strings.Split(have, "\n") {
		if other := strings.Split(want, "\n")[i]; line != other {
			t.Errorf("%s\nin a folder: %s", line, other)
		}
	}
}

// What is stored can't be read, moved or changed without the secret.
func TestRedisStorageIsSealed(t *testing.T) {
	server := redisserver.Start(t)
	s, other := redisStorage(t, server, 1), redisStorage(t, server, 2)
	if err := s.Store(t.Context(), "a/key", []byte("PRIVATE KEY")); err != nil {
		t.Fatal(err)
	}
	p, err := s.client.HGet(t.Context(), s.hash(), "a/key").Bytes()
	if err != nil || bytes.Contains(p, []byte("PRIVATE")) {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := other.Load(t.Context(), "a/key"); err == nil || !strings.Contains(err.Error(), "another secret") {
		t.Errorf("%v", err)
	}
	s.client.HSet(t.Context(), s.hash(), "b/key", p)
	if _, err := s.Load(t.Context(), "b/key"); err == nil {
		t.Error("a value was moved to another key")
	}
	s.client.HSet(t.Context(), s.hash(), "c/key", "short")
	if _, err := s.Load(t.Context(), "c/key"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// One at a time has a lock, whoever asks.
func TestRedisLocks(t *testing.T) {
	server := redisserver.Start(t)
	nodes := []*RedisStorage{redisStorage(t, server, 1), redisStorage(t, server, 1), redisStorage(t, server, 1)}
	var inside, most, total atomic.Int32
	var wg sync.WaitGroup
	for _, s := range nodes {
		for range 2 {
			wg.Go(func() {
				if err := s.Lock(t.Context(), "issue_x"); err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > 1 {
					most.Store(n)
				}
				total.Add(1)
				time.Sleep(5 * time.Millisecond)
				inside.Add(-1)
				if err := s.Unlock(t.Context(), "issue_x"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if most.Load() != 0 || total.Load() != 6 {
		t.Errorf("%d had the lock at once, %d in all", most.Load(), total.Load())
	}
	if err := nodes[0].Unlock(t.Context(), "issue_x"); err == nil {
		t.Error("unlocked what isn't locked")
	}
	if ok, err := nodes[0].TryLock(t.Context(), "a"); err != nil || !ok {
		t.Errorf("%t, %v", ok, err)
	}
	if ok, err := nodes[1].TryLock(t.Context(), "a"); err != nil || ok {
		t.Errorf("%t, %v", ok, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := nodes[1].Lock(ctx, "a"); err == nil || ctx.Err() == nil {
		t.Errorf("%v", err)
	}
	// A lock whose owner has died expires: its time is taken away here.
	if kept, err := renewLock.Run(t.Context(), nodes[1].client, []string{nodes[1].lockKey("a")}, "somebody else", 1).Bool(); err != nil || kept {
		t.Errorf("renewed by another: %t, %v", kept, err)
	}
	if err := nodes[1].client.PExpire(t.Context(), nodes[1].lockKey("a"), time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].Lock(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := nodes[0].Unlock(t.Context(), "a"); err != nil { // it is another's now, and stays
		t.Error(err)
	}
	if ok, err := nodes[2].TryLock(t.Context(), "a"); err != nil || ok {
		t.Errorf("a lock was taken from its owner: %t, %v", ok, err)
	}
	if err := nodes[1].Unlock(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}
