package file

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"mkd/megaki"
)

// pass is a search for sessions to forget, in the order of their handshakes. It passes
// over those that were used since it has seen them last, and goes on where it ended:
// of as many sessions as are there it looks at each one once, and then begins anew. So
// what a use costs later is one look, and nothing is written for it.
type pass struct {
	at   []byte // the key of the last session that it has returned
	left int    // sessions to look at before it begins anew
}

// next returns the key of the session to forget, of the n whose keys begin with prefix.
// Keys end with the expiry and the token; shorter ones, of a damaged file, are passed over.
// It is nil if there is none.
func (p *pass) next(b *bolt.Bucket, prefix []byte, n int, u *used) []byte {
	c := b.Cursor()
	least := len(prefix) + expirySize + len(megaki.Token{})
	for range 3 { // the rest; all of them, which may have been used; all again
		for key, _ := c.Seek(p.at); key != nil && bytes.HasPrefix(key, prefix) && p.left > 0; key, _ = c.Next() {
			p.left--
			if len(key) >= least && !u.take(megaki.Token(key[len(key)-len(megaki.Token{}):])) {
				p.at = bytes.Clone(key)
				return key
			}
		}
		p.at, p.left = prefix, n
	}
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
		if len(key) >= least {
			return key // all are used all the time
		}
	}
	return nil
}
