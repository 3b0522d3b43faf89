package file

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"mkd/sessions"
)

// greedyShare is the part of the capacity from which a client's sessions are the first to
// be forgotten, as in megaki.MemoryStore.
const greedyShare = 64

const expirySize = 8 // bytes of an expiry in keys and values

// clients counts the sessions of each client that are in the file, and knows which one
// to forget next.
type clients struct {
	capacity int
	of       map[sessions.ClientID]*client
	greedy   map[sessions.ClientID]bool
	all      pass
}

// client is what is known of a client's sessions.
type client struct {
	count int
	pass  pass
}

// countClients counts what is in the file.
func countClients(tx *bolt.Tx, capacity int) *clients {
	c := &clients{capacity: capacity, of: make(map[sessions.ClientID]*client), greedy: make(map[sessions.ClientID]bool)}
	cursor := tx.Bucket(clientsBucket).Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		var id sessions.ClientID
		copy(id[:], key) // less than that in a damaged file
		c.add(id, 1)
	}
	return c
}

// add adds to the number of a client's sessions.
func (c *clients) add(id sessions.ClientID, n int) {
	if id == (sessions.ClientID{}) {
		return
	}
	its := c.of[id]
	if its == nil {
		its = new(client)
		c.of[id] = its
	}
	if its.count += n; its.count <= 0 {
		delete(c.of, id)
	}
	if delete(c.greedy, id); its.count > max(1, c.capacity/greedyShare) {
		c.greedy[id] = true
	}
}

// greediest returns the greedy client that has most sessions.
func (c *clients) greediest() (id sessions.ClientID, ok bool) {
	for g := range c.greedy {
		if !ok || c.of[g].count > c.of[id].count {
			id, ok = g, true
		}
	}
	return id, ok
}

// index is the part of a transaction that finds sessions by their expiry and client.
type index struct {
	records, expiry, clients *bolt.Bucket
	known                    *clients
	used                     *used
}

// put adds a session.
func (x *index) put(expires, token []byte, id sessions.ClientID) error {
	if err := x.expiry.Put(join(expires, token), id[:]); err != nil {
		return err
	}
	if id == (sessions.ClientID{}) {
		return nil
	}
	x.known.add(id, 1)
	return x.clients.Put(join(id[:], expires, token), nil)
}

// remove removes a session, whose client only the index knows. In files of earlier
// versions there is none.
func (x *index) remove(expires, token []byte) error {
	key := join(expires, token)
	var id sessions.ClientID
	copy(id[:], x.expiry.Get(key))
	if err := x.expiry.Delete(key); err != nil || id == (sessions.ClientID{}) {
		return err
	}
	x.known.add(id, -1)
	return x.clients.Delete(join(id[:], key))
}

// forget removes a session and its record.
func (x *index) forget(expires, token []byte) error {
	token = join(token) // it may lie in a page that the removal changes
	if err := x.remove(expires, token); err != nil {
		return err
	}
	return x.records.Delete(token)
}

// victim returns the session to forget: of the client that has most if one is greedy, else
// of all. It is nil if there is none.
func (x *index) victim() (expires, token []byte) {
	for id, ok := x.known.greediest(); ok; id, ok = x.known.greediest() {
		its := x.known.of[id]
		key := its.pass.next(x.clients, id[:], its.count, x.used)
		if len(key) <= len(id)+expirySize {
			break
		}
		if entry := key[len(id):]; bytes.Equal(x.expiry.Get(entry), id[:]) {
			return entry[:expirySize], entry[expirySize:]
		}
		// An mkd that doesn't know of clients has removed the session.
		if x.clients.Delete(bytes.Clone(key)) != nil {
			break
		}
		x.known.add(id, -1)
	}
	key := x.known.all.next(x.expiry, nil, x.known.capacity, x.used)
	if key == nil {
		return nil, nil
	}
	return key[:expirySize], key[expirySize:]
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
