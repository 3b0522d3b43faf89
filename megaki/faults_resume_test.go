package megaki

import (
	"bytes"
	"sync/atomic"
	"testing"
)

// "A token can be resumed before its ACK came, under zeros or under the master
// key of an evicted other client."
func TestFaultResumeBeforeACK(t *testing.T) {
	addr := start(t, &Server{})
	other := established(t, addr)
	p := connect(t, addr)
	ack := p.hello()
	real := p.key
	for name, key := range map[string][symmetricKey]byte{
		"zeros":                {},
		"its own":              real,
		"another client's key": other.key,
	} {
		t.Run(name, func(t *testing.T) {
			q := &peer{t: t, token: p.token, box: newBox(&key)}
			rstor, _ := q.rstor()
			asksForHandshake(t, addr, rstor)
		})
	}
	p.send(ack[:])
	p.read(typeACKACK)
	p.echoes("x")
	if p.resume(addr) == nil {
		t.Error("not resumed after the ACK")
	}
	other.echoes("x")
}

// An ACK that is refused leaves nothing to resume.
func TestFaultResumeAfterWrongACK(t *testing.T) {
	store := NewMemoryStore(10)
	addr := start(t, &Server{Sessions: store})
	p := connect(t, addr)
	ack := p.hello()
	ack.token()[3] ^= 1
	p.refusedAfter(ack[:])
	rstor, _ := p.rstor()
	asksForHandshake(t, addr, rstor)
	if n := store.Len(); n != 1 {
		t.Errorf("%d sessions are kept, 1 was made", n)
	}
}

// "Every refused RSTOR reads an unset pointer", and "a RSTOR that fails its
// MAC ends otherwise than one of an unknown token": each gets REQ-REHS, and
// the connection goes on with a SYN.
func TestFaultRefusedResumes(t *testing.T) {
	addr := start(t, &Server{})
	p := established(t, addr)
	good, _ := p.rstor()
	change := func(change func(m msgPacket)) msgPacket {
		m := bytes.Clone(good)
		change(m)
		return m
	}
	for name, rstor := range map[string]msgPacket{
		"unknown token":     change(func(m msgPacket) { m.token()[0] ^= 1 }),
		"token of zeros":    change(func(m msgPacket) { clear(m.token()) }),
		"wrong MAC":         change(func(m msgPacket) { m.mac()[0] ^= 1 }),
		"wrong IV":          change(func(m msgPacket) { m.iv()[0] ^= 1 }),
		"wrong ciphertext":  change(func(m msgPacket) { m.ciphertext()[31] ^= 1 }),
		"nothing but zeros": change(func(m msgPacket) { clear(m[10:]) }),
		"zero key":          (&peer{token: p.token, box: newBox(new([symmetricKey]byte))}).packet(typeRSTOR, make([]byte, symmetricKey)),
	} {
		t.Run(name, func(t *testing.T) { asksForHandshake(t, addr, rstor) })
	}
	p.echoes("unharmed")
	if p.resume(addr) == nil {
		t.Error("the session can't be resumed any more")
	}

	// A bounded number of times on one connection.
	q := connect(t, addr)
	for range maxRefusedResumes {
		q.send(change(func(m msgPacket) { clear(m.token()) }))
		q.read(typeREQREHS)
	}
	q.refusedAfter(change(func(m msgPacket) { clear(m.token()) }))

	// Up to the last of them the connection may still resume, or do a handshake.
	q = connect(t, addr)
	for range maxRefusedResumes {
		q.send(change(func(m msgPacket) { clear(m.token()) }))
		q.read(typeREQREHS)
	}
	q.handshake()
	q.echoes("x")

	// Not well-formed: another length.
	for _, size := range []int{0, 16, 31, 33, 48} {
		connect(t, addr).refusedAfter(p.packet(typeRSTOR, make([]byte, size)))
	}
	// A RSTOR may come first only.
	rstor, _ := p.rstor()
	p.refusedAfter(rstor)
}

// "Eviction reuses table slots that live connections still point at."
func TestFaultEviction(t *testing.T) {
	addr := start(t, &Server{Sessions: NewMemoryStore(2)})
	p := established(t, addr)
	p.echoes("before")
	for range 3 {
		established(t, addr).echoes("another")
	}
	p.echoes("after") // the live connection owns its key
	rstor, _ := p.rstor()
	asksForHandshake(t, addr, rstor)
	p.echoes("after that")
}

// "Resuming a token breaks its older live connection."
func TestFaultResumingBreaksTheOlderConnection(t *testing.T) {
	addr := start(t, &Server{})
	all := []*peer{established(t, addr)}
	for range 5 {
		newest := all[len(all)-1]
		q := newest.resume(addr)
		if q == nil {
			t.Fatal("not resumed")
		}
		all = append(all, q)
		for _, p := range all {
			p.echoes("every connection of the session")
		}
	}
	// The keys of old connections resume nothing.
	rstor, _ := all[0].rstor()
	asksForHandshake(t, addr, rstor)
}

// "A MSG sent twice gets two responses."
func TestFaultReplayedMessage(t *testing.T) {
	var handled atomic.Int32
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		handled.Add(1)
		return echo(w, r)
	})})
	for _, size := range []int{1, 16, 32, 100} {
		p := established(t, addr)
		handled.Store(0)
		m := p.packet(typeMSG, make([]byte, size))
		p.send(m)
		p.response()
		p.echoes("one between")
		p.refusedAfter(m)
		if n := handled.Load(); n != 2 {
			t.Errorf("%d bytes: the handler saw %d messages, 2 were sent", size, n)
		}
	}
}

// "A packet can be sent back to its sender": a response to the server.
func TestFaultReflectedResponse(t *testing.T) {
	addr := start(t, &Server{})
	for _, size := range []int{1, 32, 100} {
		p := established(t, addr)
		p.send(p.packet(typeMSG, make([]byte, size)))
		_, response := p.response()
		p.refusedAfter(response)
	}
}

// "A packet can be sent back to its sender; an old response can be sent again":
// to the client.
func TestFaultClientTakesEachResponseOnce(t *testing.T) {
	for name, attack := range map[string]func(p *script, request, first msgPacket) msgPacket{
		"the request reflected": func(p *script, request, first msgPacket) msgPacket { return request },
		"an old response":       func(p *script, request, first msgPacket) msgPacket { return first },
		"an old response with another token": func(p *script, request, first msgPacket) msgPacket {
			clear(first.token())
			return first
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := scriptedConn(t, func(p *script) {
				p.handshake()
				p.readPacket(typeMSG)
				first := p.packet(typeMSG, []byte("a response"))
				p.write(first)
				p.write(attack(p, p.readPacket(typeMSG), first))
			})
			if got, err := c.RoundTrip(t.Context(), []byte("one")); err != nil || string(got) != "a response" {
				t.Fatalf("%q, %v", got, err)
			}
			if got, err := c.RoundTrip(t.Context(), []byte("two")); err == nil {
				t.Errorf("it was taken as the response %q", got)
			}
			if _, err := c.RoundTrip(t.Context(), []byte("three")); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

// "A recorded MSG of 17 to 32 bytes, its type changed to 05 and its length to
// 32, is accepted as a RSTOR and strands its owner": whoever sent the MSG, and
// whether its owner's connection still lives or not.
func TestFaultMessageRetypedAsRSTOR(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	for _, resumed := range []bool{false, true} {
		for _, alive := range []bool{true, false} {
			for _, size := range []int{17, 24, 32} {
				p := established(t, addr)
				if resumed {
					p = p.resume(addr)
				}
				request := p.packet(typeMSG, make([]byte, size))
				p.send(request)
				_, response := p.response()
				if !alive {
					open := s.Connections()
					p.Close()
					eventually(t, "the owner's connection ended", func() bool { return s.Connections() < open })
				}
				asksForHandshake(t, addr, retyped(request, typeRSTOR))
				asksForHandshake(t, addr, retyped(response, typeRSTOR))
				if alive {
					p.echoes("unharmed")
				}
				if p.resume(addr) == nil {
					t.Errorf("resumed %v, alive %v, %d bytes: the owner can't resume", resumed, alive, size)
				}
			}
		}
	}
}

// An accepted RSTOR is refused when it comes again, its owner alive or
// not, promoted or not; and as a MSG on its owner's connection.
func TestFaultReplayedRSTOR(t *testing.T) {
	addr := start(t, &Server{})
	p := established(t, addr)
	rstor, augment := p.rstor()
	q := connect(t, addr)
	q.send(rstor)
	ack := msgPacket(q.read(typeRSTORACK))
	asksForHandshake(t, addr, rstor)
	asksForHandshake(t, addr, retyped(ack, typeRSTOR)) // a RSTOR-ACK reflected
	key, err := openRSTORACK(bytes.Clone(ack), &p.key, &augment)
	if err != nil {
		t.Fatal(err)
	}
	q.begin(p.token, key)
	q.echoes("promoted")
	asksForHandshake(t, addr, rstor)
	asksForHandshake(t, addr, retyped(ack, typeRSTOR))
	q.echoes("unharmed")
	p.echoes("unharmed")
	if q.resume(addr) == nil {
		t.Error("the owner can't resume")
	}
	// Retyped as MSGs they end the connection that gets them, and no other.
	p.refusedAfter(retyped(rstor, typeMSG))
	r := q.resume(addr)
	r.echoes("unharmed")
	q.refusedAfter(retyped(ack, typeMSG))
	r.echoes("unharmed")
}

// After max_messages_per_key the connection is closed after a response, and the
// client resumes.
func TestMaxMessagesPerKey(t *testing.T) {
	addr := start(t, &Server{MaxMessagesPerKey: 5})
	p := established(t, addr)
	for range 3 { // each key anew
		for range 5 {
			p.echoes("thirty-two bytes make it a RSTOR.")
		}
		p.refused()
		if p = p.resume(addr); p == nil {
			t.Fatal("not resumed")
		}
	}

	client := &Client{Address: addr, Config: *clientConfig()}
	client.Config.MaxMessagesPerKey = 5
	defer client.Close()
	var token Token
	for i := range 23 {
		if _, err := client.Send(t.Context(), []byte("x")); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if i == 0 {
			token = client.Session().Token
		}
	}
	if s := client.Session(); s == nil || s.Token != token {
		t.Error("the client did a handshake")
	}
}

// "A RSTOR-ACK that gets lost strands the client, because the server already
// forgot the old key."
func TestFaultLostRSTORACK(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	p := established(t, addr)
	for i := range MaxPending {
		if !p.loseRSTORACK(addr) {
			t.Fatalf("resumption %d under the old key is refused", i+1)
		}
	}
	if p.resume(addr) != nil {
		t.Error("more pending keys than there may be")
	}
	p.echoes("unharmed")
	rstor, _ := p.rstor()
	asksForHandshake(t, addr, rstor)

	// One that arrives in time promotes its key, and the count starts anew.
	p = established(t, addr)
	for range 3 {
		for range MaxPending - 1 {
			if !p.loseRSTORACK(addr) {
				t.Fatal("refused")
			}
		}
		q := p.resume(addr)
		if q == nil {
			t.Fatal("not resumed")
		}
		q.echoes("promoted by a MSG")
		s.promoting.Wait()
		if p.resume(addr) != nil {
			t.Error("the old key still resumes")
		}
		p = q
	}
}

// A client may resume under the key of a MSG-RSTOR-ACK, without a MSG.
func TestPromotionByRSTOR(t *testing.T) {
	addr := start(t, &Server{})
	p := established(t, addr)
	first, second := p.resume(addr), p.resume(addr)
	if first == nil || second == nil {
		t.Fatal("not resumed")
	}
	third := second.resume(addr) // promotes second's key
	if third == nil {
		t.Fatal("not resumed under a pending key")
	}
	for name, old := range map[string]*peer{"the old key": p, "the other pending key": first} {
		if old.resume(addr) != nil {
			t.Errorf("%s still resumes", name)
		}
		old.echoes("but its connection goes on")
	}
	second.echoes("x")
	third.echoes("x")
	if second.resume(addr) != nil {
		t.Error("second's key still resumes, though third's is in use")
	}
	if third.resume(addr) == nil {
		t.Error("the newest key doesn't resume")
	}
}
