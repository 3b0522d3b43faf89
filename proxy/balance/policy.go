package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Policy decides which upstream gets a request.
type Policy int

const (
	// RoundRobin gives each upstream its share in turn, as evenly spread as can
	// be: with weights 5, 1 and 1 the turns are a a b a c a a.
	RoundRobin Policy = iota
	// LeastConn prefers the upstream with the fewest requests in flight for its
	// weight, and takes turns among equals.
	LeastConn
	// RandomTwo takes two upstreams at random, by weight, and of these the one
	// with fewer requests in flight for its weight. It is for several proxies in
	// front of the same upstreams, which then don't all choose the same one.
	RandomTwo
	// Hash sends requests with the same Wish.Key to the same upstream, as long as it
	// may be tried. If upstreams come or go, only the keys of these move (rendezvous
	// hashing), and several proxies with the same upstreams agree.
	Hash
)

// Wish is what is known of where a request should go. Its zero value is nothing.
type Wish struct {
	// Upstream gets the request if it may be tried, whatever the policy. nil: none.
	Upstream *Upstream
	// Key is for Hash. 0: the request has none, and goes by RoundRobin.
	Key uint64
}

// Key returns the key of a text, which isn't 0.
func Key(text []byte) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range text {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return max(1, mix(h))
}

// mix spreads the bits of x over all of it, as the generator SplitMix64 does.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (p Policy) String() string {
	switch p {
	case RoundRobin:
		return "round_robin"
	case LeastConn:
		return "least_conn"
	case RandomTwo:
		return "random_two"
	case Hash:
		return "hash"
	}
	return fmt.Sprintf("Policy(%d)", int(p))
}

// pick returns an upstream that may be tried and isn't in tried, and whether it
// is on trial; or none, and the time until there is one.
func (b *Balancer) pick(wish Wish, tried []*state) (u *state, trial bool, wait time.Duration) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	lastResort := !b.anyUp(nil)
	for _, backups := range []bool{false, true} {
		u = b.choose(wish, func(s *state) bool {
			return s.Backup == backups && s.mayTry(now, lastResort) && !slices.Contains(tried, s)
		})
		if u != nil {
			return u, u.begin(now), 0
		}
	}
	return nil, false, b.wait(now)
}

// choose returns a usable upstream by the policy, nil if there is none.
func (b *Balancer) choose(wish Wish, usable func(*state) bool) *state {
	switch wished := b.wished(wish, usable); {
	case wished != nil:
		return wished
	case b.By == Hash && wish.Key != 0:
		return b.hash(wish.Key, usable)
	case b.By == LeastConn:
		return b.leastConn(usable)
	case b.By == RandomTwo:
		return b.randomTwo(usable)
	}
	return b.turn(usable)
}

// wished returns the upstream that a request should go to, nil if there is none that
// is usable.
func (b *Balancer) wished(wish Wish, usable func(*state) bool) *state {
	if wish.Upstream == nil {
		return nil
	}
	for _, s := range b.states {
		if s.Upstream == wish.Upstream && usable(s) {
			return s
		}
	}
	return nil
}

// hash returns the usable upstream with the highest score for a key. The scores have
// the distribution that gives each upstream its weight's share of the keys (Schindelhauer
// and Schomaker, "Weighted distributed hash tables", 2005).
func (b *Balancer) hash(key uint64, usable func(*state) bool) (best *state) {
	highest := 0.0
	for _, s := range b.states {
		if !usable(s) {
			continue
		}
		if s.key == 0 {
			s.key = Key([]byte(s.Name))
		}
		uniform := (float64(mix(key^s.key)>>11) + 0.5) / (1 << 53) // between 0 and 1
		if score := -float64(s.weight) / math.Log(uniform); best == nil || score > highest {
			best, highest = s, score
		}
	}
	return best
}

// pickAgain returns u if it may be tried.
func (b *Balancer) pickAgain(u *state) (*state, bool) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !u.mayTry(now, !b.anyUp(nil)) {
		return nil, false
	}
	return u, u.begin(now)
}

// turn gives each usable upstream credit for its weight, and the turn to the one
// with the most, which pays for it what all have got.
func (b *Balancer) turn(usable func(*state) bool) (best *state) {
	total := 0
	for _, s := range b.states {
		if !usable(s) {
			continue
		}
		s.credit += s.weight
		total += s.weight
		if best == nil || s.credit > best.credit {
			best = s
		}
	}
	if best != nil {
		best.credit -= total
	}
	return best
}

func (b *Balancer) leastConn(usable func(*state) bool) *state {
	var least *state
	load := 0
	for _, s := range b.states {
		s.load = s.inFlight()
		if usable(s) && (least == nil || s.load*least.weight < load*s.weight) {
			least, load = s, s.load
		}
	}
	if least == nil {
		return nil
	}
	return b.turn(func(s *state) bool { return usable(s) && s.load*least.weight == load*s.weight })
}

func (b *Balancer) randomTwo(usable func(*state) bool) *state {
	first := b.random(usable)
	if first == nil {
		return nil
	}
	second := b.random(func(s *state) bool { return s != first && usable(s) })
	if second != nil && second.inFlight()*first.weight < first.inFlight()*second.weight {
		return second
	}
	return first
}

// random returns a usable upstream, each with the probability of its weight.
func (b *Balancer) random(usable func(*state) bool) *state {
	total := 0
	for _, s := range b.states {
		if usable(s) {
			total += s.weight
		}
	}
	if total == 0 {
		return nil
	}
	n := rand.IntN(total)
	for _, s := range b.states {
		if !usable(s) {
			continue
		}
		if n -= s.weight; n < 0 {
			return s
		}
	}
	return nil
}
