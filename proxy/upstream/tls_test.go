package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
)

type testConfigs struct{ server, client *tls.Config }

// testTLS makes a certificate for 127.0.0.1, and the configurations of both sides.
func testTLS(t testing.TB) testConfigs {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return testConfigs{
		server: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2", "http/1.1"}},
		client: &tls.Config{RootCAs: pool},
	}
}

// serveTLS starts a server that speaks TLS.
func serveTLS(t testing.TB, version uint16, f func(c *fakeConn, tc *tls.Conn)) (*Transport, *fakeserver.Server) {
	t.Helper()
	configs := testTLS(t)
	configs.server.MaxVersion = version
	tr, s := serve(t, func(c *fakeConn) {
		tc := tls.Server(c.Conn, configs.server)
		defer tc.Close()
		c.br.Reset(tc)
		f(&fakeConn{Conn: tc, br: c.br, n: c.n}, tc)
	})
	tr.TLS = configs.client
	return tr, s
}

// TestTLS checks that connections are kept with each version of TLS, session
// tickets of 1.3 notwithstanding, that bodies of all sizes pass, and that
// sessions are resumed.
func TestTLS(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resumed, last := make(chan bool, 1), 0
		tr, s := serveTLS(t, version, func(f *fakeConn, tc *tls.Conn) {
			for {
				r, err := f.read()
				if err != nil {
					return
				}
				if f.n != last {
					last = f.n
					resumed <- tc.ConnectionState().DidResume
				}
				f.say(strings.Replace(ok, "text", r.head[:4], 1))
			}
		})
		for i, size := range []int{0, 1, 1000, tlsRecord, tlsRecord + 1, smallBody, smallBody + 1, 1 << 20, 0} {
			_, body, err := roundTripAll(tr, newRequest(t, "POST", strings.Repeat("x", size)))
			if err != nil || body != "POST" || s.Connections() != 1 {
				t.Fatalf("%x, %d: %q, %v, %d connections", version, i, body, err, s.Connections())
			}
		}
		if <-resumed {
			t.Error("resumed at first")
		}
		tr.CloseIdleConnections()
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); err != nil || !<-resumed {
			t.Errorf("%x: not resumed, %v", version, err)
		}
	}
}

// TestTLSLate: a server sends something while the connection is idle.
func TestTLSLate(t *testing.T) {
	fakeserver.NoLeaks(t)
	for name, c := range map[string]struct {
		late func(f *fakeConn, tc *tls.Conn)
		kept bool
	}{
		"nothing":      {func(*fakeConn, *tls.Conn) {}, true},
		"a byte":       {func(f *fakeConn, tc *tls.Conn) { f.say("x") }, false},
		"a response":   {func(f *fakeConn, tc *tls.Conn) { f.say(ok) }, false},
		"close_notify": {func(f *fakeConn, tc *tls.Conn) { tc.CloseWrite() }, false},
		"close":        {func(f *fakeConn, tc *tls.Conn) { tc.NetConn().(*net.TCPConn).CloseWrite() }, false},
		"garbage": {func(f *fakeConn, tc *tls.Conn) {
			tc.NetConn().Write([]byte("x"))
			tc.NetConn().Write([]byte("yyyyyyyyyy"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			again, done := make(chan bool), make(chan bool)
			tr, s := serveTLS(t, tls.VersionTLS13, func(f *fakeConn, tc *tls.Conn) {
				for i := 0; ; i++ {
					if _, err := f.read(); err != nil {
						return
					}
					f.say(ok)
					if i == 0 && f.n == 1 {
						<-again
						c.late(f, tc)
						done <- true
					}
				}
			})
			for i := range 2 {
				if _, body, err := roundTripAll(tr, newRequest(t, "POST", "body")); err != nil || body != "text" {
					t.Fatal(body, err)
				}
				if i == 0 {
					again <- true
					<-done
				}
			}
			if n := s.Connections(); (n == 1) != c.kept {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestTLSTickets has session tickets wait on a connection on which nothing else
// came: they don't make it unusable.
func TestTLSTickets(t *testing.T) {
	fakeserver.NoLeaks(t)
	greeted := make(chan bool)
	tr, _ := serveTLS(t, tls.VersionTLS13, func(f *fakeConn, tc *tls.Conn) {
		tc.Handshake()
		greeted <- true
		f.br.ReadByte()
	})
	cache := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	tr.TLS.ClientSessionCache = cache
	c, err := tr.connect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	<-greeted
	if cache.tickets != 0 {
		t.Fatal("the ticket came with the handshake")
	}
	first := c.quiet()
	if second := c.quiet(); !first || !second || cache.tickets == 0 {
		t.Errorf("it can't be used; %d tickets", cache.tickets)
	}
	tr.keep(c, -1)
}

type countingCache struct {
	tls.ClientSessionCache
	tickets int
}

func (c *countingCache) Put(key string, session *tls.ClientSessionState) {
	c.tickets++
	c.ClientSessionCache.Put(key, session)
}

// TestTruncated checks that a response which ends with the connection is whole
// only if TLS announces that it does.
func TestTruncated(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, polite := range []bool{true, false} {
		tr, _ := serveTLS(t, 0, func(f *fakeConn, tc *tls.Conn) {
			f.read()
			f.say("HTTP/1.1 200 OK\r\n\r\ntext")
			if polite {
				tc.Close()
			}
			tc.NetConn().Close()
		})
		_, body, err := roundTripAll(tr, newRequest(t, "GET", ""))
		if body != "text" || polite != (err == nil) || !polite && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("polite %t: %q, %v", polite, body, err)
		}
	}
}

// TestTLSFaults checks failed handshakes: nothing was sent.
func TestTLSFaults(t *testing.T) {
	fakeserver.NoLeaks(t)
	stranger := testTLS(t).client
	for name, c := range map[string]func() *Transport{
		"unknown authority": func() *Transport {
			tr, _ := serveTLS(t, 0, func(f *fakeConn, tc *tls.Conn) { tc.Handshake() })
			tr.TLS = stranger
			return tr
		},
		"another name": func() *Transport {
			tr, _ := serveTLS(t, 0, func(f *fakeConn, tc *tls.Conn) { tc.Handshake() })
			tr.TLS = tr.TLS.Clone()
			tr.TLS.ServerName = "example.org"
			return tr
		},
		"plain HTTP": func() *Transport {
			tr, _ := serve(t, func(f *fakeConn) { f.say("HTTP/1.1 400 Bad Request\r\n\r\n"); io.Copy(io.Discard, f.br) })
			tr.TLS = stranger
			return tr
		},
		"silence": func() *Transport {
			tr, _ := serve(t, func(f *fakeConn) { io.Copy(io.Discard, f.br) })
			tr.TLS, tr.DialTimeout = stranger, 50*time.Millisecond
			return tr
		},
	} {
		_, _, err := roundTripAll(c(), newRequest(t, "GET", ""))
		if e := failure(t, err); e.Sent || e.Op != "connecting" || !strings.HasPrefix(e.Err.Error(), "the TLS handshake: ") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
