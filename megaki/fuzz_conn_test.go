package megaki

import (
	"bytes"
	"context"
	"crypto"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// fuzzConn gives a client bytes in segments, and takes what it writes.
type fuzzConn struct {
	net.Conn // nil
	in       []byte
	segment  int
}

func (c *fuzzConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in[:min(len(c.in), c.segment)])
	c.in = c.in[n:]
	return n, nil
}

func (c *fuzzConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *fuzzConn) Close() error { return nil }

func (c *fuzzConn) SetDeadline(time.Time) error { return nil }

func (c *fuzzConn) SetReadDeadline(t time.Time) error { return nil }

// A response from the path: only the genuine one is accepted, and only once.
func FuzzResponse(f *testing.F) {
	flow := loadFlow(f)
	session := Session{Token: Token(flow.Handshake.Token), Key: [symmetricKey]byte(flow.Handshake.MasterKey)}
	m := flow.Messages[4]
	genuine := []byte(m.Packets[1].Hex)
	f.Add(genuine, uint8(255))
	f.Add(genuine, uint8(0))
	f.Add(append(bytes.Clone(genuine), genuine...), uint8(255))
	f.Add([]byte(m.Packets[0].Hex), uint8(80))
	for i := range 80 {
		f.Add(edited(genuine, i, genuine[i]^1), uint8(255))
		f.Add(genuine[:i], uint8(255))
	}
	for _, p := range flow.packets() {
		f.Add(p, uint8(255))
	}
	mem := memory(1 << 16)
	f.Fuzz(func(t *testing.T, in []byte, segment uint8) {
		conn := &fuzzConn{in: in, segment: 1 + int(segment)}
		c := &Conn{conn: conn, mem: mem, wire: newWire(conn, mem), maxMessage: 1000,
			session: newSessionV1(session.Token, &session.Key, newSeenMACs(nil), 0, 1000, 2)}
		response, err := c.AppendRoundTrip(t.Context(), []byte("kept"), []byte("x"))
		if mem.InUse() != 0 {
			t.Fatal("memory is held")
		}
		if err != nil {
			if string(response) != "kept" {
				t.Errorf("%q with %v", response, err)
			}
			if _, err := c.RoundTrip(t.Context(), []byte("x")); err == nil || !strings.Contains(err.Error(), "failed before") {
				t.Errorf("after an error: %v", err)
			}
			return
		}
		// Any recorded MSG is genuine under the key.
		right := false
		for _, p := range flow.packets() {
			right = right || len(p) > msgHeaderSize && len(in) >= len(p) && bytes.Equal(in[26:len(p)], p[26:])
		}
		if !right {
			t.Fatalf("a forged response was taken: %x", in)
		}
		if len(conn.in) == 0 {
			conn.in = in
		}
		if _, err := c.RoundTrip(t.Context(), []byte("y")); err == nil {
			t.Fatal("taken twice")
		}
	})
}

// What comes instead of a response to a MSG-RSTOR or SYN: nothing recorded is
// genuine for a fresh client.
func FuzzClientHello(f *testing.F) {
	flow := loadFlow(f)
	key := flow.clientKey(f)
	for _, p := range flow.packets() {
		f.Add(p, true)
		f.Add(p, false)
		f.Add(append([]byte("MGK\xAA\xCA\x07"), p...), true)
	}
	mem := NewMemory(1 << 16)
	f.Fuzz(func(t *testing.T, in []byte, resume bool) {
		cfg := &Config{ServerKey: &key.PublicKey, ClientKey: key, Memory: mem}
		if resume {
			cfg.Session = &Session{Token: Token(flow.Handshake.Token), Key: [symmetricKey]byte(flow.Handshake.MasterKey)}
		}
		if _, err := NewConn(context.Background(), &fuzzConn{in: in, segment: len(in) + 1}, cfg); err == nil {
			t.Error("a session was begun")
		}
		if mem.InUse() != 0 {
			t.Error("memory is held")
		}
	})
}

// pipeListener accepts the ends of pipes.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzServer drives a whole server by a script of steps: messages in order get
// their echo; whatever else comes ends the connection, and nothing is sent.
// Its sessions begin by resuming, so that RSA work happens only where the
// script holds a SYN.
func FuzzServer(f *testing.F) {
	flow := loadFlow(f)
	f.Add([]byte{0, 10, 0, 200, 0, 33, 3, 0})
	f.Add([]byte{0, 10, 2, 30})
	f.Add([]byte{2, 5, 0, 0})
	f.Add([]byte{0, 1, 4, 0})
	f.Add([]byte{5, 0})
	for _, p := range flow.packets() {
		f.Add(append([]byte{1, 0}, p...))
		f.Add(append([]byte{6, 0}, p...))
	}
	store, mem := NewMemoryStore(1000), NewMemory(1<<20)
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	key := flow.serverKey(f)
	srv := &Server{Keys: []crypto.Decrypter{key}, Handler: HandlerFunc(echo), Sessions: store, Memory: mem, MaxMessage: 1000}
	go srv.Serve(l)
	f.Cleanup(func() { srv.Close() })
	f.Fuzz(func(t *testing.T, steps []byte) {
		client, server := net.Pipe()
		l.conns <- server
		defer client.Close()
		client.SetDeadline(time.Now().Add(10 * time.Second))
		if len(steps) > 1 && steps[0] == 6 { // bytes in place of a hello
			finish(t, client, steps[2:], flow.syn()[:])
			return
		}
		s := &Session{Key: [symmetricKey]byte{1}}
		copy(s.Token[:], t.Name())
		record := &Record{Current: SessionKey{Key: s.Key}, Expires: time.Now().Add(time.Hour)}
		if old, err := store.Load(t.Context(), s.Token); err != nil {
			t.Fatal(err)
		} else if swapped, err := store.CompareAndSwap(t.Context(), s.Token, old, record); err != nil || !swapped {
			t.Fatalf("%v, %v", swapped, err)
		}
		c, err := NewConn(context.Background(), client, &Config{ServerKey: &key.PublicKey, Session: s})
		if err != nil || !c.Resumed() {
			t.Fatalf("not resumed: %v", err)
		}
		client.SetDeadline(time.Now().Add(10 * time.Second))
		box := newBox(&c.session.(*sessionV1).key)
		last := sealed(box, typeRSTOR, s.Token[:], make([]byte, symmetricKey))
		for len(steps) > 1 {
			what, n := steps[0]%6, int(steps[1])
			steps = steps[2:]
			p := sealed(box, typeMSG, s.Token[:], append([]byte{0}, steps[:min(n, len(steps))]...))
			switch what {
			case 0:
			case 1: // bytes
				finish(t, client, steps, nil)
				return
			case 2: // one byte changed
				i := n % len(p)
				p[i] ^= 1 << (n & 7)
				if i < 10 || i >= 26 {
					if i >= 6 && i < 10 && padded(p.length()) == len(p.ciphertext()) && p.length() > 0 {
						break // of the length, which is guarded only to the block
					}
					finish(t, client, p, nil)
					return
				}
			case 3: // sent again
				finish(t, client, last, nil)
				return
			case 4: // with more after it
				finish(t, client, append(p, 'M'), nil)
				return
			case 5: // empty
				finish(t, client, edited(sealed(box, typeMSG, s.Token[:], nil), 6, 0, 0, 0, 0), nil)
				return
			}
			last = bytes.Clone(p)
			send(t, client, p)
			response := msgPacket(receive(t, client, len(p)))
			if !box.verify(response) || !bytes.Equal(response.token(), p.token()) {
				t.Fatal("not a genuine response")
			}
			if got, want := box.open(response), box.open(p); !bytes.Equal(got, want) {
				t.Fatalf("%x came back as %x", want, got)
			}
		}
	})
}

// finish writes bytes, closes, and checks that the server sends nothing, or
// where SYNs are known what responds to them: at most a SYN-ACK or REQ-REHS.
func finish(t *testing.T, conn net.Conn, p, syn []byte) {
	t.Helper()
	got := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	conn.Write(p)
	e := fuzzStates(1000)[5]
	if size, err := e.frameSize(p); syn != nil || err == nil && (size == 0 || size > len(p)) {
		conn.Close() // the server may wait for more
	}
	all := <-got
	if syn == nil && len(all) > 0 {
		t.Fatalf("the server sent %x", all)
	}
	rehs := []byte("MGK\xAA\xCA\x07")
	for bytes.HasPrefix(all, rehs) {
		all = all[len(rehs):]
	}
	if len(all) > 0 && !bytes.Contains(p, syn) {
		t.Fatalf("the server sent %x", all)
	}
}
