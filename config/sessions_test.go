package config

import "testing"

// store puts a section sessions into minimal.
func store(text string) string { return minimal + "sessions: {" + text + "}\n" }

func TestSessionErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no kind", "store: {}", "5:12: sessions.store: its kind is missing; it must have one of the keys: memory, file, redis"},
		{"two kinds", "store: {memory: {}, file: {path: a.db}}, secret_file: s", "5:32: sessions.store: it has both memory and file; keep one of them"},
		{"file without a secret", "store: {file: {path: a.db}}", "5:1: sessions.secret_file: the key is missing: sessions in a file or in Redis are sealed with a secret; make one with: openssl rand -hex 32 > sessions.secret"},
		{"redis without a secret", "store: {redis: {addresses: [':6379']}}", "5:1: sessions.secret_file: the key is missing: sessions in a file or in Redis are sealed with a secret; make one with: openssl rand -hex 32 > sessions.secret"},
		{"no folder", "store: {file: {path: missing/a.missing}}, secret_file: s", "5:33: sessions.store.file.path: the folder of missing/a.missing doesn't exist; make it, and let mkd's user write there"},
		{"a folder", "store: {file: {path: a.dir}}, secret_file: s", "5:33: sessions.store.file.path: a.dir is a folder; want a file"},
		{"no addresses", "store: {redis: {addresses: []}}, secret_file: s", "5:28: sessions.store.redis.addresses: it is empty; it must have one entry at least"},
		{"cluster and sentinel", "store: {redis: {addresses: [':1'], cluster: true, sentinel: {master: m}}}, secret_file: s", "5:72: sessions.store.redis.sentinel: a Redis Cluster has no Sentinels; keep one of cluster and sentinel"},
		{"cluster with a database", "store: {redis: {addresses: [':1'], cluster: true, db: 1}}, secret_file: s", "5:66: sessions.store.redis.db: a Redis Cluster has one database, 0"},
		{"certificate without a key", "store: {redis: {addresses: [':1'], tls: {cert: c}}}, secret_file: s", "5:52: sessions.store.redis.tls: cert and key go together; give both, or none"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, store(c.text), c.want) })
	}
}

func TestSessionWarnings(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"memory", "store: {memory: {}}", ""},
		{"file", "store: {file: {path: a.dir/b.missing}}, secret_file: s", ""},
		{"redis", "store: {redis: {addresses: ['a:1', 'b:2'], tls: {}, sentinel: {master: m}}}, secret_file: s, old_secret_files: [t]", ""},
		{"secret for memory", "secret_file: s", "5:25: sessions.secret_file: it has no effect: sessions in memory aren't sealed"},
		{"old secrets for memory", "old_secret_files: [s]", "5:30: sessions.old_secret_files: it has no effect: sessions in memory aren't sealed"},
		{"capacity of redis", "capacity: 10, store: {redis: {addresses: ['a:1']}}, secret_file: s", "5:22: sessions.capacity: it has no effect: how many sessions Redis keeps is set there, by maxmemory and maxmemory-policy"},
		{"open secret", "store: {file: {path: a.dir/b.missing}}, secret_file: open", "5:65: sessions.secret_file: open can be read by others than its owner; chmod 600 it"},
	} {
		t.Run(c.name, func(t *testing.T) { wantWarnings(t, store(c.text), c.want) })
	}
}
