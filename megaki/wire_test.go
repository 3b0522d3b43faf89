package megaki

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// socketPair is a connection over loopback, both ends.
func socketPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// bufferedConn gives bytes of its own before those of the socket, as what reads
// a header of a proxy does. It has the socket's SyscallConn.
type bufferedConn struct {
	*net.TCPConn
	r io.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestWireOfAConnectionThatWrapsASocket(t *testing.T) {
	a, b := socketPair(t)
	syn, _ := newSYN(t, nil)
	b.Write(syn[100:])
	a.SetDeadline(time.Now().Add(patience))
	w := newWire(bufferedConn{a.(*net.TCPConn), io.MultiReader(bytes.NewReader(syn[:100]), a)}, memory(1<<20))
	if p, err := w.packet(&expectHello); err != nil || !bytes.Equal(p, syn[:]) {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}

// The end of a connection leaves no buffer behind, and the error shows where it came.
func TestWireEnds(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) (net.Conn, net.Conn){
		"socket": socketPair,
		"pipe":   func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
	} {
		for _, n := range []int{0, 1, 5, 6, 7, 549} {
			a, b := pair(t)
			a.SetDeadline(time.Now().Add(patience))
			syn, _ := newSYN(t, nil)
			go func() {
				if n > 0 {
					b.Write(syn[:n])
				}
				b.Close()
			}()
			m := memory(1 << 20)
			w := newWire(a, m)
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if _, err := w.packet(&expectHello); !errors.Is(err, want) {
				t.Errorf("%s closed after %d bytes: %v", name, n, err)
			}
			if n == 0 && m.InUse() != 0 {
				t.Errorf("%s: %d bytes are held where nothing came", name, m.InUse())
			}
			w.release()
			if m.InUse() != 0 {
				t.Errorf("%s: %d bytes in use", name, m.InUse())
			}
			a.Close()
		}
	}
}

func TestExpectationSize(t *testing.T) {
	header := func(typ byte, rest ...byte) []byte {
		p := make([]byte, headerSize)
		putHeader(p, typ)
		return append(p, rest...)
	}
	msg := &expectation{state: "MSG", types: []byte{typeMSG}, minMsg: 1, maxMsg: 100}
	var tooLong *TooLongError
	for _, test := range []struct {
		e      *expectation
		prefix []byte
		size   int
		err    func(error) bool
	}{
		{&expectHello, nil, 0, nil},
		{&expectHello, []byte("MGK"), 0, nil},
		{&expectHello, []byte("GET / "), 0, isMalformed},
		{&expectHello, []byte("MX"), 0, isMalformed},
		{&expectHello, header(typeSYN), 550, nil},
		{&expectHello, header(typeRSTOR), 0, nil},
		{&expectHello, header(typeRSTOR, 0, 0, 0), 0, nil},
		{&expectHello, header(typeRSTOR, 0, 0, 0, 32), 106, nil},
		{&expectHello, header(typeRSTOR, 0, 0, 0, 31), 0, isMalformed},
		{&expectHello, header(typeRSTOR, 0, 0, 0, 33), 0, func(err error) bool { return errors.As(err, &tooLong) }},
		{&expectHello, header(typeMSG), 0, isMalformed},
		{&expectHello, header(typeACK), 0, isMalformed},
		{&expectACK, header(typeACK), 118, nil},
		{&expectACK, header(typeSYN), 0, isMalformed},
		{msg, header(typeMSG, 0, 0, 0, 0), 0, isMalformed},
		{msg, header(typeMSG, 0, 0, 0, 1), 90, nil},
		{msg, header(typeMSG, 0, 0, 0, 16), 90, nil},
		{msg, header(typeMSG, 0, 0, 0, 17), 106, nil},
		{msg, header(typeMSG, 0, 0, 0, 100), 186, nil},
		{msg, header(typeMSG, 0, 0, 0, 101), 0, func(err error) bool { return errors.As(err, &tooLong) }},
		{msg, header(typeMSG, 0xFF, 0xFF, 0xFF, 0xF5), 0, func(err error) bool { return errors.As(err, &tooLong) }},
		{msg, header(0xE4), 0, isMalformed},
	} {
		size, err := test.e.frameSize(test.prefix)
		if size != test.size || (err == nil) != (test.err == nil) || err != nil && !test.err(err) {
			t.Errorf("% x, waiting for %s: %d, %v; want %d", test.prefix, test.e.state, size, err, test.size)
		}
	}
}

func isMalformed(err error) bool { return errors.Is(err, errMalformed) }
