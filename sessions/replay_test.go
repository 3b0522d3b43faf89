package sessions_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"mkd/megaki"
)

// The first packet of a client that resumes, and of the server that responds.
const (
	rstorSize = 106
	rstorACK  = 6
	reqREHS   = 7
)

var keys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		key, err := megaki.GenerateKey()
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// node starts a server with a store, and returns its address.
func node(t *testing.T, store megaki.SessionStore) string {
	t.Helper()
	s := &megaki.Server{Keys: []crypto.Decrypter{keys()[0]}, Sessions: store, Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
		_, err := w.Write(r.Body)
		return err
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// recorder is a connection that keeps the first packet written.
type recorder struct {
	net.Conn
	first []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.first == nil {
		r.first = append([]byte{}, p...)
	}
	return r.Conn.Write(p)
}

func dial(t *testing.T, addr string, s *megaki.Session) (*megaki.Conn, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Conn: conn}
	c, err := megaki.NewConn(t.Context(), r, &megaki.Config{ServerKey: &keys()[0].PublicKey, ClientKey: keys()[1], Session: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, r.first
}

func echoes(t *testing.T, c *megaki.Conn) {
	t.Helper()
	if got, err := c.RoundTrip(t.Context(), []byte("hello")); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// replay sends a recorded packet, and returns the type of the response.
func replay(t *testing.T, addr string, packet []byte) byte {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(packet)
	var header [6]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		t.Errorf("a replayed MSG-RSTOR: %v", err)
	}
	return header[5]
}

// keysAlone is a store in memory that keeps of a record what can be sealed.
type keysAlone struct{ store *megaki.MemoryStore }

func (s keysAlone) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	r, err := s.store.Load(ctx, t)
	if r != nil {
		r.Current = megaki.SessionKey{Key: r.Current.Key}
		for i := range r.Pending {
			r.Pending[i] = megaki.SessionKey{Key: r.Pending[i].Key}
		}
	}
	return r, err
}

func (s keysAlone) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	return s.store.CompareAndSwap(ctx, t, old, next)
}

// scheduled is a store whose first operations are done in the order of a schedule, as
// in "ABBA": the first of node A, two of B, the second of A.
type scheduled struct {
	megaki.SessionStore
	schedule *schedule
	node     byte
}

type schedule struct {
	mu    sync.Mutex
	turn  *sync.Cond
	order string // what is left
	armed bool
}

func newSchedule() *schedule {
	s := new(schedule)
	s.turn = sync.NewCond(&s.mu)
	return s
}

func (s *schedule) arm(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order, s.armed = order, true
}

// skip gives up the turns of a node that needs no more of them.
func (s *schedule) skip(node byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := ""
	for i := range len(s.order) {
		if s.order[i] != node {
			left += s.order[i : i+1]
		}
	}
	s.order = left
	s.turn.Broadcast()
}

// do does an operation of a node when it is that one's turn.
func (s *schedule) do(node byte, op func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := func() bool {
		for i := range len(s.order) {
			if s.order[i] == node {
				return true
			}
		}
		return false
	}
	for s.armed && has() && s.order[0] != node {
		s.turn.Wait()
	}
	op()
	if s.armed && has() {
		s.order = s.order[1:]
		s.turn.Broadcast()
	}
}

func (s scheduled) Load(ctx context.Context, t megaki.Token) (r *megaki.Record, err error) {
	s.schedule.do(s.node, func() { r, err = s.SessionStore.Load(ctx, t) })
	return r, err
}

func (s scheduled) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (ok bool, err error) {
	s.schedule.do(s.node, func() { ok, err = s.SessionStore.CompareAndSwap(ctx, t, old, next) })
	return ok, err
}

// A MSG-RSTOR that is replayed on another node, at the same time as its owner's and in
// whatever order the two nodes use the store, costs its owner a handshake at most. One
// of the two is accepted, never both, and the session's keys stay.
func TestReplayOnAnotherNode(t *testing.T) {
	for _, order := range []string{"AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"} {
		t.Run(order, func(t *testing.T) {
			shared, plan := keysAlone{megaki.NewMemoryStore(100)}, newSchedule()
			a, b := node(t, scheduled{shared, plan, 'A'}), node(t, scheduled{shared, plan, 'B'})
			owner, _ := dial(t, a, nil)
			echoes(t, owner)
			session := owner.Session()

			// The attacker has the packet before the server has it.
			packet := recordRSTOR(t, &session)
			plan.arm(order)
			var attacker byte
			var wg sync.WaitGroup
			wg.Go(func() {
				defer plan.skip('B')
				attacker = replay(t, b, packet)
			})
			mine := replay(t, a, packet)
			plan.skip('A')
			wg.Wait()
			if both := fmt.Sprint(mine, attacker); both != fmt.Sprint(rstorACK, reqREHS) && both != fmt.Sprint(reqREHS, rstorACK) {
				t.Errorf("the responses are of types %s; one of the two must be accepted", both)
			}
			for _, addr := range []string{a, b} {
				if got := replay(t, addr, packet); got != reqREHS {
					t.Errorf("once more: type %d", got)
				}
			}
			// The owner, who may have lost, resumes with another packet, and goes on.
			echoes(t, owner)
			again, _ := dial(t, b, &session)
			if !again.Resumed() {
				t.Error("the session is lost")
			}
			echoes(t, again)
			echoes(t, owner)
			next := again.Session()
			if third, _ := dial(t, a, &next); !third.Resumed() {
				t.Error("the session is lost after its key changed")
			}
			if got := replay(t, b, packet); got != reqREHS {
				t.Errorf("after the key changed: type %d", got)
			}
		})
	}
}

// recordRSTOR returns the MSG-RSTOR that a client would send.
func recordRSTOR(t *testing.T, s *megaki.Session) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go megaki.NewConn(t.Context(), client, &megaki.Config{ServerKey: &keys()[0].PublicKey, ClientKey: keys()[1], Session: s})
	packet := make([]byte, rstorSize)
	server.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(server, packet); err != nil {
		t.Fatal(err)
	}
	return packet
}
