//go:build long

package proxy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/redisserver"
)

// The 10,000 clients of a node that is killed resume on the other one.
func TestLongSharedSessions(t *testing.T) { testSharedSessions(t, 10000) }

// Twenty times a daemon is killed under load.
func TestLongFileSurvivesKill(t *testing.T) { testFileSurvivesKill(t, 20, 2*time.Second) }

// Sentinels replace a server that is killed, and mkd follows.
func TestLongSentinelFailover(t *testing.T) {
	master := redisserver.Start(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	replica := redisserver.Start(t, "replicaof "+host+" "+port)
	await(t, "the replica is in sync", func() bool {
		role, err := master.Do("WAIT", "1", "100")
		return err == nil && role == ":1"
	})
	var sentinels []string
	for range 3 {
		sentinels = append(sentinels, redisserver.Sentinel(t, master, "main", 2).Addr)
	}
	cfg := sessionsIn(t, strings.Replace(inRedis(sentinels...), "{redis: {", "{redis: {sentinel: {master: main}, ", 1), "a")
	cfg.Sessions.Timeout = 250 * time.Millisecond
	d, _ := start(t, cfg)
	addr, client := d.Addr("app").String(), clientConfig(t)
	s := newSession(t, addr, client)
	await(t, "the session reaches the replica", func() bool {
		n, err := replica.Do("DBSIZE")
		return err == nil && n != ":0"
	})
	await(t, "the Sentinels know the replica and each other", func() bool {
		for _, a := range sentinels {
			if got, err := (&redisserver.Server{Addr: a}).Do("SENTINEL", "CKQUORUM", "main"); err != nil || !strings.Contains(got, "3 usable") {
				return false
			}
			if got, err := (&redisserver.Server{Addr: a}).Do("SENTINEL", "REPLICAS", "main"); err != nil || got != "*1" {
				return false
			}
		}
		return true
	})
	stop := underLoad(t, addr, client)
	master.Kill()
	await(t, "the session is resumed from the replica", func() bool {
		next, err := resume(t.Context(), addr, client, s)
		if err == nil {
			s = next
		} else if !errors.Is(err, errForgotten) {
			t.Fatal(err)
		}
		return err == nil
	})
	await(t, "new sessions are resumed", func() bool {
		_, err := resume(t.Context(), addr, client, newSession(t, addr, client))
		return err == nil
	})
	stop()
}

// Nodes share the sessions of a Redis Cluster, each of which begins with another of its
// servers.
func TestLongClusterSessions(t *testing.T) {
	servers := redisserver.Cluster(t, 3)
	node := func(server *redisserver.Server) string {
		d, _ := start(t, sessionsIn(t, strings.Replace(inRedis(server.Addr), "{redis: {", "{redis: {cluster: true, ", 1), "a"))
		return d.Addr("app").String()
	}
	a, b, client := node(servers[0]), node(servers[1]), clientConfig(t)
	for range 30 {
		s, err := resume(t.Context(), b, client, newSession(t, a, client))
		if err == nil {
			_, err = resume(t.Context(), a, client, s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
