// Package redis keeps Megaki sessions in Redis or Valkey, so that each of several
// servers resumes the sessions of all.
package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"mkd/megaki"
	"mkd/sessions"
)

// DefaultPrefix is what keys begin with if Options.Prefix is empty.
const DefaultPrefix = "mkd:session:"

// Options configure a Store. Addresses and Sealer must be given.
type Options struct {
	Connection
	// Prefix is what the keys of sessions begin with. The token in hex follows, in
	// braces.
	Prefix string
	// Sealer seals the records.
	Sealer *sessions.Sealer
}

// Connection is how a server of Redis is reached.
type Connection struct {
	// Addresses of the server, HOST:PORT. Of Sentinels, or of nodes of a Cluster, each
	// is asked until one responds.
	Addresses []string
	Username  string
	Password  string
	DB        int
	TLS       *tls.Config // nil: none
	// Sentinel, if not nil, has Sentinels at Addresses find the server.
	Sentinel *Sentinel
	// Cluster is set if Addresses are nodes of a Redis Cluster.
	Cluster bool
}

// Sentinel is how Sentinels find a server.
type Sentinel struct {
	Master   string // the name under which they watch it
	Username string // for the Sentinels themselves
	Password string
}

// Client returns a client for the connection. Its operations are bounded by their
// contexts.
func (c *Connection) Client() (redis.UniversalClient, error) {
	if len(c.Addresses) == 0 {
		return nil, errors.New("redis: no addresses")
	}
	if c.Cluster && (c.Sentinel != nil || c.DB != 0) {
		return nil, errors.New("redis: a Cluster has no Sentinels, and one DB alone, 0")
	}
	o := &redis.UniversalOptions{
		Addrs:    c.Addresses,
		Username: c.Username,
		Password: c.Password,
		DB:       c.DB,

		TLSConfig:             c.TLS,
		IsClusterMode:         c.Cluster,
		DialTimeout:           time.Second,
		MaxRetries:            1, // more would only hide the error behind a timeout
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		PoolSize:              64,
		ConnMaxIdleTime:       5 * time.Minute,
		// Of a hosted Redis alone.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if c.Sentinel != nil {
		o.MasterName, o.SentinelUsername, o.SentinelPassword = c.Sentinel.Master, c.Sentinel.Username, c.Sentinel.Password
	}
	quiet()
	return redis.NewUniversalClient(o), nil
}

// quiet keeps the client from logging to standard error: its errors are returned as
// well.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Store is a megaki.SessionStore in Redis. Redis itself forgets sessions: when they
// expire, and by its maxmemory-policy when it is full. Every half a minute it gets a report of
// the sessions that had messages.
type Store struct {
	client redis.UniversalClient
	prefix string
	sealer *sessions.Sealer
	bad    atomic.Uint64

	uses      uses
	begin     sync.Once // of reporting
	reporting sync.WaitGroup
	ctx       context.Context // until Close
	stop      context.CancelFunc
}

var (
	_ megaki.SessionStore = (*Store)(nil)
	_ megaki.Toucher      = (*Store)(nil)
)

//go:embed swap.lua
var swapSource string

var swapScript = redis.NewScript(swapSource)

// New returns a Store. It doesn't connect yet.
func New(o Options) (*Store, error) {
	client, err := o.Client()
	if err != nil {
		return nil, err
	}
	s := &Store{client: client, prefix: cmp.Or(o.Prefix, DefaultPrefix), sealer: o.Sealer}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() error {
	s.stop()
	s.begin.Do(func() {}) // it doesn't begin any more
	s.reporting.Wait()
	return s.client.Close()
}

// Unreadable returns how many records were found that no secret opens.
func (s *Store) Unreadable() uint64 { return s.bad.Load() }

// key returns the key of a session. What is in braces decides the node of a Cluster.
func (s *Store) key(t megaki.Token) string { return s.prefix + "{" + t.String() + "}" }

// Load implements megaki.SessionStore.
func (s *Store) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	// No more than a record can have is read, whoever wrote it.
	sealed, err := s.client.GetRange(ctx, s.key(t), 0, sessions.MaxSealed).Bytes()
	if err != nil || len(sealed) == 0 {
		return nil, err
	}
	r, err := s.sealer.Open(t, sealed)
	if err != nil {
		s.bad.Add(1)
		return nil, nil
	}
	if !time.Now().Before(r.Expires) {
		return nil, nil
	}
	return r, nil
}

// CompareAndSwap implements megaki.SessionStore. If ctx ends, the swap may have been
// done all the same.
func (s *Store) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	left := time.Until(next.Expires).Milliseconds() + 1 // Load looks at the record's own expiry
	if left <= 1 || old != nil && !time.Now().Before(old.Expires) {
		return false, nil
	}
	var revision []byte
	if old != nil {
		revision = sessions.RevisionBytes(old.Revision)
	}
	sealed := s.sealer.Seal(t, next)
	return swapScript.Run(ctx, s.client, []string{s.key(t)}, revision, sealed, sessions.Revision(sealed), left).Bool()
}
