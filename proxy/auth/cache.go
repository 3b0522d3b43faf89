package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	maxCached = 10_000
	cacheTime = 10 * time.Minute
)

// cached is a MAC of a name, a password and the hash that it was compared with. So
// neither is kept, and a line of the file that changes is another entry.
type cached [sha256.Size]byte

func keyOf(secret []byte, texts ...string) (key cached) {
	mac := hmac.New(sha256.New, secret)
	var n [8]byte
	for _, s := range texts {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		mac.Write(n[:])
		mac.Write([]byte(s))
	}
	mac.Sum(key[:0])
	return key
}

// cache remembers for a while who has given the right password. It holds a bounded
// number, and drops any when it is full.
type cache struct {
	mu  sync.Mutex
	end map[cached]time.Time
}

func (c *cache) has(key cached) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	end := c.end[key]
	if !now.Before(end) {
		return false
	}
	if end.Sub(now) < cacheTime/2 {
		c.end[key] = now.Add(cacheTime)
	}
	return true
}

func (c *cache) add(key cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		c.end = make(map[cached]time.Time)
	}
	if len(c.end) >= maxCached {
		for k := range c.end {
			if len(c.end) <= maxCached-maxCached/64 {
				break
			}
			delete(c.end, k)
		}
	}
	c.end[key] = time.Now().Add(cacheTime)
}
