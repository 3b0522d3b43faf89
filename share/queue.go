package share

import "net/netip"

// Queue is what waits for something that clients use one after the other, such as
// connections to a server. Clients take turns; what waits for one client is served in the
// order in which it came. If the queue is full, the client that has most in it loses its
// newest one, unless the client of the new one would have as many. Every operation takes
// constant time. It isn't safe for use by several goroutines.
type Queue[T any] struct {
	limit   int
	n       int
	turns   list[queued[T]] // the clients in it; the first is next
	clients map[netip.Prefix]*queued[T]

	// The clients by the number of what waits for them, up to the highest there was, and
	// the highest number.
	ranks   []list[queued[T]]
	longest int
}

// queued is a client of a Queue.
type queued[T any] struct {
	key     netip.Prefix // the zero Prefix: not in clients
	waiting list[Turn[T]]
	turn    link[queued[T]]
	rank    link[queued[T]]
}

// Turn is one thing that waits in a Queue. The zero value is ready, and can be used again
// after it has left.
type Turn[T any] struct {
	of     *T
	client *queued[T]
	link   link[Turn[T]] // among the client's
	waits  bool          // still
}

// NewQueue returns a queue for limit things.
func NewQueue[T any](limit int) *Queue[T] {
	return &Queue[T]{limit: limit, clients: make(map[netip.Prefix]*queued[T]), ranks: make([]list[queued[T]], 1)}
}

// Len returns how many wait.
func (q *Queue[T]) Len() int { return q.n }

// Join appends what waits for a client, see Network, and reports whether the queue has room
// for it. With the zero Prefix it counts as of a client of its own. t is the turn of what
// waits. evicted, if not nil, is what had to leave for it.
func (q *Queue[T]) Join(what *T, t *Turn[T], client netip.Prefix) (joined bool, evicted *T) {
	c := q.clients[client]
	if q.n >= q.limit {
		has := 0
		if c != nil {
			has = c.waiting.n
		}
		if q.longest <= has+1 {
			return false, nil
		}
		newest := q.ranks[q.longest].first.of.waiting.last.of // the greediest client's
		q.Leave(newest)
		evicted = newest.of
	}
	if c == nil {
		c = &queued[T]{key: client}
		c.turn.of, c.rank.of = c, c
		q.turns.pushBack(&c.turn)
		if client.IsValid() {
			q.clients[client] = c
		}
	}
	t.of, t.client, t.waits = what, c, true
	t.link.of = t
	c.waiting.pushBack(&t.link)
	q.n++
	q.setRank(c, c.waiting.n-1)
	return true, evicted
}

// Leave takes a turn out, and reports whether it was still waiting: if not, Next has
// returned it, or it was evicted.
func (q *Queue[T]) Leave(t *Turn[T]) bool {
	if !t.waits {
		return false
	}
	t.waits = false
	c := t.client
	c.waiting.remove(&t.link)
	q.n--
	q.setRank(c, c.waiting.n+1)
	if c.waiting.n == 0 {
		q.turns.remove(&c.turn)
		delete(q.clients, c.key)
	}
	return true
}

// Next takes out what came first for the client whose turn it is, nil if nothing waits.
func (q *Queue[T]) Next() *T { return q.NextThat(func(*T) bool { return true }) }

// NextThat is Next, but passes over the clients whose first isn't taken: their turn stays.
func (q *Queue[T]) NextThat(takes func(*T) bool) *T {
	for turn := q.turns.first; turn != nil; turn = turn.after {
		t := turn.of.waiting.first.of
		if !takes(t.of) {
			continue
		}
		q.turns.remove(turn)
		q.turns.pushBack(turn)
		q.Leave(t)
		return t.of
	}
	return nil
}

// setRank moves a client, for which one more or less waited before, to its rank.
func (q *Queue[T]) setRank(c *queued[T], before int) {
	if before > 0 {
		q.ranks[before].remove(&c.rank)
	}
	n := c.waiting.n
	if n > 0 {
		if n == len(q.ranks) {
			q.ranks = append(q.ranks, list[queued[T]]{})
		}
		q.ranks[n].pushBack(&c.rank)
	}
	if q.longest = max(q.longest, n); q.ranks[q.longest].n == 0 {
		q.longest = n // it had the highest number alone
	}
}
