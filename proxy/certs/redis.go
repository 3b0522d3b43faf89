package certs

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"
)

const (
	// lockTTL is how long a lock outlives the process that has it.
	lockTTL = 15 * time.Second
	// lockRenewal is how often a lock is renewed by the process that has it.
	lockRenewal = lockTTL / 3
	// lockPoll is how often a lock that another process has is tried.
	lockPoll = 200 * time.Millisecond

	modifiedSize = 8 // of a value: milliseconds since 1970, before the sealed rest
)

// RedisStorage is a certmagic.Storage in Redis, which several nodes share: ACME
// accounts, certificates, their private keys, and challenges that are open. So a
// challenge can be responded to by whichever node is asked, and one node at a time
// obtains a certificate.
//
// All values are in one hash: there are few, and a Redis that evicts keys with an
// expiry, such as sessions, never evicts it. They are sealed with AES-256-GCM under a
// key from a secret, and bound to their names.
type RedisStorage struct {
	client redis.UniversalClient
	prefix string
	aead   cipher.AEAD

	mu    sync.Mutex
	locks map[string]*heldLock // by name
}

// heldLock is a lock that this process has.
type heldLock struct {
	owner string
	stop  context.CancelFunc // of renewing
	done  chan struct{}
}

var (
	_ certmagic.Storage   = (*RedisStorage)(nil)
	_ certmagic.TryLocker = (*RedisStorage)(nil)

	renewLock = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	freeLock  = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// NewRedisStorage returns a storage whose keys begin with a prefix. The secret has 32
// random bytes at least.
func NewRedisStorage(client redis.UniversalClient, prefix string, secret []byte) (*RedisStorage, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "mkd storage", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &RedisStorage{client: client, prefix: prefix, aead: aead, locks: make(map[string]*heldLock)}, nil
}

// String returns what logs call the storage.
func (s *RedisStorage) String() string { return "redis " + s.prefix }

func (s *RedisStorage) hash() string { return s.prefix + "{values}" }

// Store implements certmagic.Storage.
func (s *RedisStorage) Store(ctx context.Context, key string, value []byte) error {
	p := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	p = s.aead.Seal(p, nil, value, []byte(key))
	if err := s.client.HSet(ctx, s.hash(), key, p).Err(); err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}

// Load implements certmagic.Storage.
func (s *RedisStorage) Load(ctx context.Context, key string) ([]byte, error) {
	p, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	value, err := s.aead.Open(nil, nil, p[modifiedSize:], []byte(key))
	if err != nil {
		return nil, fmt.Errorf("loading %s: it is sealed with another secret, or damaged; give all nodes the same secret_file", key)
	}
	return value, nil
}

// get returns a value as it is stored.
func (s *RedisStorage) get(ctx context.Context, key string) ([]byte, error) {
	p, err := s.client.HGet(ctx, s.hash(), key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("loading %s: %w", key, fs.ErrNotExist)
	}
	if err == nil && len(p) < modifiedSize+s.aead.Overhead() {
		err = errors.New("it is damaged")
	}
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", key, err)
	}
	return p, nil
}

// keys returns all keys, sorted.
func (s *RedisStorage) keys(ctx context.Context) ([]string, error) {
	all, err := s.client.HKeys(ctx, s.hash()).Result()
	slices.Sort(all)
	return all, err
}

// within reports whether a key is in a folder, "" for the root.
func within(key, folder string) bool { return folder == "" || strings.HasPrefix(key, folder+"/") }

// Delete implements certmagic.Storage.
func (s *RedisStorage) Delete(ctx context.Context, key string) error {
	all, err := s.keys(ctx)
	if err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	gone := slices.DeleteFunc(all, func(k string) bool { return k != key && !within(k, key) })
	if len(gone) == 0 {
		return nil
	}
	if err := s.client.HDel(ctx, s.hash(), gone...).Err(); err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	return nil
}

// Exists implements certmagic.Storage.
func (s *RedisStorage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage. Like certmagic's own storage it lists folders
// too.
func (s *RedisStorage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	path = strings.Trim(path, "/")
	all, err := s.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", path, err)
	}
	var list []string
	for _, key := range all {
		if !within(key, path) {
			continue
		}
		base := len(path)
		if path != "" {
			base++
		}
		for i := base; ; { // each folder on the way, and the key
			slash := strings.IndexByte(key[i:], '/')
			if slash < 0 {
				list = append(list, key)
				break
			}
			i += slash
			list = append(list, key[:i])
			if i++; !recursive {
				break
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("listing %s: %w", path, fs.ErrNotExist)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Stat implements certmagic.Storage.
func (s *RedisStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	p, err := s.get(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{
			Key:        key,
			Modified:   time.UnixMilli(int64(binary.BigEndian.Uint64(p))),
			Size:       int64(len(p) - modifiedSize - s.aead.Overhead()),
			IsTerminal: true,
		}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	all, listed := s.keys(ctx)
	if listed != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("looking for %s: %w", key, listed)
	}
	if slices.ContainsFunc(all, func(k string) bool { return within(k, key) }) {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, err
}

// Lock implements certmagic.Storage.
func (s *RedisStorage) Lock(ctx context.Context, name string) error {
	for {
		locked, err := s.TryLock(ctx, name)
		if err != nil || locked {
			return err
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *RedisStorage) lockKey(name string) string { return s.prefix + "lock:{" + name + "}" }

// TryLock implements certmagic.TryLocker.
func (s *RedisStorage) TryLock(ctx context.Context, name string) (bool, error) {
	var random [16]byte
	rand.Read(random[:])
	l := &heldLock{owner: hex.EncodeToString(random[:]), done: make(chan struct{})}
	locked, err := s.client.SetNX(ctx, s.lockKey(name), l.owner, lockTTL).Result()
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", name, err)
	}
	if !locked {
		return false, nil
	}
	var renewing context.Context
	renewing, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.locks[name] = l
	s.mu.Unlock()
	go s.renew(renewing, name, l)
	return true, nil
}

// renew keeps a lock until it is released or lost. One that is lost, because Redis was
// away for too long, may be taken by another node: then both do the same work.
func (s *RedisStorage) renew(ctx context.Context, name string, l *heldLock) {
	defer close(l.done)
	tick := time.NewTicker(lockRenewal)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		kept, err := renewLock.Run(ctx, s.client, []string{s.lockKey(name)}, l.owner, lockTTL.Milliseconds()).Bool()
		if err == nil && !kept {
			return
		}
	}
}

// Unlock implements certmagic.Storage.
func (s *RedisStorage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	l := s.locks[name]
	delete(s.locks, name)
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("unlocking %s: it isn't locked here", name)
	}
	l.stop()
	<-l.done
	if err := freeLock.Run(ctx, s.client, []string{s.lockKey(name)}, l.owner).Err(); err != nil {
		return fmt.Errorf("unlocking %s: %w", name, err)
	}
	return nil
}
