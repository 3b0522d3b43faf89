package megaki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"testing"
)

// device is a private key that can be used and not be had.
type device struct{ key crypto.Decrypter }

func (d device) Public() crypto.PublicKey { return d.key.Public() }
func (d device) Decrypt(random io.Reader, p []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return d.key.Decrypt(random, p, opts)
}

// reports collects what a server reports of handshakes.
type reports struct {
	mu   sync.Mutex
	list []Handshake
}

func (r *reports) add(h Handshake) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, h)
}

func (r *reports) take() []Handshake {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// A message has the key of its session's handshake, after a resumption too.
func TestRequestHasItsServerKey(t *testing.T) {
	want, err := IDOf(&testKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var done reports
	s := &Server{
		Keys:        []crypto.Decrypter{testClientKey(), device{testKey()}},
		OnHandshake: done.add,
		Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
			_, err := io.WriteString(w, r.Key.String())
			return err
		}),
	}
	addr := start(t, s)
	p := established(t, addr)
	for range 3 {
		p.send(p.msg("which?"))
		if got, _ := p.response(); string(got) != want.String() {
			t.Errorf("%s, want %s", got, want)
		}
		if p = p.resume(addr); p == nil {
			t.Fatal("not resumed")
		}
	}
	if got := done.take(); len(got) != 1 || got[0] != (Handshake{Key: want}) {
		t.Errorf("reported %v", got)
	}
}

// A client that pins a retired key gets code 03 FF, and its session ends.
func TestRetiredKey(t *testing.T) {
	store := NewMemoryStore(10)
	before := start(t, &Server{Sessions: store})
	p := established(t, before)
	var done reports
	s := &Server{Keys: []crypto.Decrypter{testClientKey()}, RetiredKeys: []crypto.Decrypter{testKey()}, Sessions: store, OnHandshake: done.add}
	addr := start(t, s)
	_, err := Dial(t.Context(), "tcp", addr, clientConfig())
	var refused *ServerError
	if !errors.As(err, &refused) || refused.Code != CodeBlacklisted {
		t.Errorf("%v", err)
	}
	id, _ := IDOf(&testKey().PublicKey)
	if got := done.take(); len(got) != 1 || got[0] != (Handshake{id, true}) {
		t.Errorf("reported %v", got)
	}
	rstor, _ := p.rstor()
	p.echoes("its connection goes on")
	q := connect(t, addr)
	q.send(rstor)
	q.read(typeREQREHS)
	if p.resume(before) == nil {
		t.Error("the attempt has changed the session")
	}
	cfg := clientConfig()
	cfg.ServerKey, cfg.ClientKey = &testClientKey().PublicKey, testKey()
	c := dial(t, addr, cfg)
	if _, err := c.RoundTrip(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
}

// A retired key costs the server no more private operations than another.
func TestRetiredKeyOperations(t *testing.T) {
	n := 0
	s := &Server{Keys: []crypto.Decrypter{testClientKey()}, RetiredKeys: []crypto.Decrypter{testKey()}}
	s.decrypt = func(key crypto.Decrypter, block []byte) ([]byte, error) {
		n++
		return decryptOAEP(key, block)
	}
	addr := start(t, s)
	if _, err := Dial(t.Context(), "tcp", addr, clientConfig()); err == nil {
		t.Error("a retired key serves")
	}
	if n != 3 {
		t.Errorf("%d private operations, want 3: one under the other key, two under this", n)
	}
}

func TestServerKeysAreRSA(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Keys: []crypto.Decrypter{notRSA{key.Public()}}, Handler: HandlerFunc(echo)}
	if err := s.init(); !errors.Is(err, errBadKey) {
		t.Errorf("%v", err)
	}
}

type notRSA struct{ crypto.PublicKey }

func (n notRSA) Public() crypto.PublicKey { return n.PublicKey }
func (notRSA) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errors.New("no")
}
