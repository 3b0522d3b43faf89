package config

import "time"

// Sessions is about Megaki sessions, which a client resumes on a new
// connection.
type Sessions struct {
	// How long a session can be resumed, counted from its handshake.
	TTL time.Duration `yaml:"ttl" default:"24h" range:"1ms..8760h"`

	// How many sessions are kept in memory or in a file. Beyond that, one of the client
	// address that has most is forgotten, if it has more than a 64th of them, else one
	// of all: in memory the least recently used, in a file the one whose handshake was
	// first of those that weren't used lately. In memory each takes about 0.6 KiB, and
	// 1 KiB more after many messages of 17 to 32 bytes under one key; in a file 0.5 to
	// 1 KiB. Redis has its own `maxmemory`.
	Capacity int `yaml:"capacity" default:"100000" range:"1..100000000"`

	// How long a handshake or a resumption waits for a file or for Redis. Then the
	// session can't be resumed. No message waits.
	Timeout time.Duration `yaml:"timeout" default:"250ms" range:"1ms..1m"`

	// Where sessions are kept. Without it, in memory: they end with the daemon.
	Store *SessionStore `yaml:"store"`

	// A file with the secret that records are sealed with in a file or in Redis: 32
	// random bytes at least, as `openssl rand -hex 32` prints them. All nodes that
	// share sessions have the same. Whoever has it and can read the store can act as
	// any client.
	SecretFile string `yaml:"secret_file" default:"" path:"secret"`

	// Files with secrets that were used before. What was sealed with them can still
	// be opened. After `ttl` they can be left out.
	OldSecretFiles []string `yaml:"old_secret_files" path:"secret"`
}

// SessionStore is where sessions are kept. It has exactly one of the kinds below.
type SessionStore struct {
	// In memory: they end with the daemon.
	Memory *MemorySessions `yaml:"memory,kind"`

	// In a file: they outlive the daemon.
	File *FileSessions `yaml:"file,kind"`

	// In Redis or Valkey: several nodes share them.
	Redis *RedisSessions `yaml:"redis,kind"`
}

// MemorySessions has no keys.
type MemorySessions struct{}

// FileSessions keeps sessions in a file, which one daemon at a time uses.
type FileSessions struct {
	// The file. It is made if it doesn't exist.
	Path string `yaml:"path,required" path:"newfile"`
}

// RedisSessions keeps sessions in Redis or Valkey. While it doesn't respond,
// clients do handshakes, and no message waits.
type RedisSessions struct {
	Redis

	// What the keys of sessions begin with.
	Prefix string `yaml:"prefix" default:"mkd:session:"`
}

// Redis is how a server of Redis or Valkey is reached.
type Redis struct {
	// Addresses of the server, as `host:port`. With `sentinel` they are those of
	// Sentinels, with `cluster` those of some nodes of the Cluster; each is asked
	// until one responds.
	Addresses []string `yaml:"addresses,required" format:"address 6379"`

	// For the server's access control lists.
	Username string `yaml:"username" default:""`

	// The password; `${REDIS_PASSWORD}` takes it from the environment.
	Password string `yaml:"password" default:"" format:"secret"`

	// The number of the database.
	DB int `yaml:"db" default:"0" range:"0..1000000"`

	// TLS to the server, and to Sentinels.
	TLS *RedisTLS `yaml:"tls"`

	// Sentinels find the server that is the master.
	Sentinel *RedisSentinel `yaml:"sentinel"`

	// Whether the addresses are nodes of a Redis Cluster.
	Cluster bool `yaml:"cluster" default:"false"`
}

// RedisTLS is how the certificate of a server is checked.
type RedisTLS struct {
	// A PEM file with the certificates of the authorities that are trusted.
	// Empty: those of this machine.
	CA string `yaml:"ca" default:"" path:"file"`

	// The name that the server's certificate must have. Empty: the host of its
	// address.
	ServerName string `yaml:"server_name" default:"" format:"server"`

	// A PEM file with a certificate for the server, which may ask for one. With
	// `key`.
	Cert string `yaml:"cert" default:"" path:"file"`

	// The certificate's private key, in PEM.
	Key string `yaml:"key" default:"" path:"secret"`
}

// RedisSentinel is how Sentinels are asked.
type RedisSentinel struct {
	// The name under which Sentinels know the master.
	Master string `yaml:"master,required"`

	// For the Sentinels' own access control lists.
	Username string `yaml:"username" default:""`

	// The password of the Sentinels.
	Password string `yaml:"password" default:"" format:"secret"`
}

// checkSessions checks that a store has what it needs.
func (w *walker) checkSessions(s *Sessions) {
	if s.Store == nil || w.at(&s.SecretFile) == nil {
		return
	}
	if (s.Store.File != nil || s.Store.Redis != nil) && s.SecretFile == "" && w.sound(&s.SecretFile) {
		w.wrong(&s.SecretFile, "the key is missing: sessions in a file or in Redis are sealed with a secret; make one with: openssl rand -hex 32 > sessions.secret")
	}
	if r := s.Store.Redis; r != nil {
		w.checkRedis(&r.Redis)
	}
}

// checkRedis checks that the ways to reach a server go together.
func (w *walker) checkRedis(r *Redis) {
	if r.Cluster && r.Sentinel != nil {
		w.wrong(&r.Sentinel, "a Redis Cluster has no Sentinels; keep one of cluster and sentinel")
	}
	if r.Cluster && r.DB != 0 {
		w.wrong(&r.DB, "a Redis Cluster has one database, 0")
	}
	if t := r.TLS; t != nil && (t.Cert == "") != (t.Key == "") && w.sound(&t.Cert, &t.Key) {
		w.wrong(&r.TLS, "cert and key go together; give both, or none")
	}
}

// warnSessions looks for what has no effect.
func (w *walker) warnSessions(s *Sessions) {
	outside := s.Store != nil && s.Store.Memory == nil
	switch {
	case !outside && s.SecretFile != "":
		w.odd(&s.SecretFile, "it has no effect: sessions in memory aren't sealed")
	case !outside && len(s.OldSecretFiles) > 0:
		w.odd(&s.OldSecretFiles, "it has no effect: sessions in memory aren't sealed")
	}
	if outside && s.Store.Redis != nil && w.at(&s.Capacity).given {
		w.odd(&s.Capacity, "it has no effect: how many sessions Redis keeps is set there, by maxmemory and maxmemory-policy")
	}
}
