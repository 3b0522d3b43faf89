package megaki

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Token names a session. It travels in clear: it identifies, and is never a
// credential.
type Token [tokenSize]byte

// String returns the token in hex.
func (t Token) String() string { return hex.EncodeToString(t[:]) }

// AppendText implements encoding.TextAppender. It appends the token in hex.
func (t Token) AppendText(to []byte) ([]byte, error) { return hex.AppendEncode(to, t[:]), nil }

// Bounds of a Record.
const (
	MaxPending = 4  // keys made by a RSTOR and not used yet
	MaxResumes = 16 // MACs of RSTORs seen under the current key
)

// SessionKey is a master key. A store that keeps the values as they are keeps
// with them the MACs that were seen under the key. A store that writes Key alone,
// to a disk or for other nodes, leaves them out; then a replayed RSTOR can at
// most cost the session's owner a handshake.
type SessionKey struct {
	Key  [symmetricKey]byte
	seen *seenMACs
}

// Record is what a server needs to resume a session.
type Record struct {
	// Revision is the store's: it shows whether a record has changed meanwhile.
	// The store sets it, whatever the caller left there.
	Revision uint64
	// Current is the key that the client is known to have.
	Current SessionKey
	// Pending are the keys that were the response to a RSTOR under Current. The
	// client has one of them, or none if the response was lost. At most
	// MaxPending.
	Pending []SessionKey
	// Resumes are the first 8 bytes of the MACs of the RSTORs seen under
	// Current. At most MaxResumes.
	Resumes [][8]byte
	// Expires is absolute, from the handshake; resuming does not move it.
	Expires time.Time
	// ServerKey is the key that the client's handshake used.
	ServerKey KeyID
	// Client is the network of the client at the handshake: an IPv4 address or
	// an IPv6 /64. The zero Prefix if it has no IP address, or is a trusted proxy.
	Client netip.Prefix
}

func (r *Record) clone() *Record {
	c := *r
	c.Pending = slices.Clone(r.Pending)
	c.Resumes = slices.Clone(r.Resumes)
	return &c
}

// SessionStore keeps the sessions that can be resumed. It is safe for use by
// several goroutines. Forgetting a session ends nothing but its resumability:
// live connections own their keys.
type SessionStore interface {
	// Load returns the session's record, nil if there is none or it has
	// expired. The caller may change what it gets.
	Load(ctx context.Context, t Token) (*Record, error)
	// CompareAndSwap puts next in the place of the record that Load returned;
	// old is nil if there was none. It reports false, and changes nothing, if
	// the record has changed meanwhile.
	CompareAndSwap(ctx context.Context, t Token, old, next *Record) (bool, error)
}

// ErrStoreDown is wrapped by the errors of a SessionStore that is known to fail,
// and that reports this itself. A server logs them at level debug.
var ErrStoreDown = errors.New("the session store is down")

// maxStoring is how many operations of the store a server has in flight. Clients share
// them: a store that is slow takes few at once, and one client could keep out all others.
const maxStoring = 256

var errStoring = fmt.Errorf("%w: it has too many operations in flight, or too many of this client", ErrStoreDown)

// beginStoring counts an operation for the client at an address, until end is called. It
// reports false if the client has its share of them.
func (s *Server) beginStoring(client netip.Addr) (end func(), ok bool) {
	return s.storing.TakeFor(client, 1)
}

// storeFailed logs that a client can't resume its session.
func (s *Server) storeFailed(client netip.AddrPort, err error) {
	level := slog.LevelWarn
	if errors.Is(err, ErrStoreDown) || s.ctx.Err() != nil {
		level = slog.LevelDebug
	}
	s.log().Log(s.ctx, level, "session can't be resumed: the store failed", "client", client, "error", err)
}

// Toucher is a SessionStore that forgets the sessions used least recently.
type Toucher interface {
	// Touch marks a session as used. A server calls it for the first message of
	// a connection, and then at most once in TouchInterval for each connection.
	// It must not wait.
	Touch(t Token)
}

// TouchInterval is the least time between two calls of Touch for a connection.
const TouchInterval = time.Second
