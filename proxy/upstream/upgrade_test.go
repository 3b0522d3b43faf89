package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"testing"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

func upgradeRequest(t *testing.T, protocol string) *http.Request {
	r := newRequest(t, "GET", "")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", protocol)
	return r
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

// TestUpgrade speaks another protocol after 101, over plain TCP and TLS.
func TestUpgrade(t *testing.T) {
	fakeserver.NoLeaks(t)
	echo := func(f *fakeConn, end func() error) {
		f.readHead()
		f.say("HTTP/1.1 103 x\r\n\r\n", switching, "early")
		io.Copy(f, f.br)
		f.say("late")
		end()
		f.br.ReadByte()
	}
	for _, secure := range []bool{false, true} {
		var tr *Transport
		if secure {
			tr, _ = serveTLS(t, 0, func(f *fakeConn, tc *tls.Conn) { echo(f, tc.CloseWrite) })
		} else {
			tr, _ = serve(t, func(f *fakeConn) { echo(f, f.Conn.(interface{ CloseWrite() error }).CloseWrite) })
		}
		tr.MaxConnections = 1
		resp, err := tr.RoundTrip(upgradeRequest(t, "other/2, Echo"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" || tr.Active() != 1 {
			t.Errorf("%d, %v, %d active", resp.StatusCode, resp.Header, tr.Active())
		}
		rwc := resp.Body.(io.ReadWriteCloser)
		p := make([]byte, 5)
		for _, s := range []string{"early", "hello", "again"} {
			if s != "early" {
				io.WriteString(rwc, s)
			}
			if _, err := io.ReadFull(rwc, p); err != nil || string(p) != s {
				t.Errorf("%q, %v", p, err)
			}
		}
		if err := rwc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(rwc); err != nil || string(rest) != "late" {
			t.Errorf("%q, %v", rest, err)
		}
		rwc.Close()
		rwc.Close()
		if _, err := rwc.Write(p); failure(t, err) == nil {
			t.Error("it can be written to")
		}
	}
}

// TestNoUpgrade checks what a server may do in place of a right 101.
func TestNoUpgrade(t *testing.T) {
	fakeserver.NoLeaks(t)
	for name, c := range map[string]struct {
		response string
		want     error
	}{
		"declined":         {ok, nil},
		"another protocol": {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", roundtrip.ErrHeader},
		"no protocol":      {"HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n", roundtrip.ErrHeader},
		"no Connection":    {"HTTP/1.1 101 x\r\nUpgrade: echo\r\n\r\n", roundtrip.ErrHeader},
	} {
		tr, _ := serve(t, responding(c.response))
		if _, _, err := roundTripAll(tr, upgradeRequest(t, "echo")); !errors.Is(err, c.want) || idle(tr) == 1 != (err == nil) {
			t.Errorf("%s: %v, %d idle", name, err, idle(tr))
		}
	}
	// The body isn't whole.
	tr, _ := serve(t, func(f *fakeConn) {
		f.readHead()
		f.say(switching)
		io.Copy(io.Discard, f.br)
	})
	r := upgradeRequest(t, "echo")
	b := newBody(endless{})
	r.Body, r.ContentLength = b, -1
	if _, _, err := roundTripAll(tr, r); !errors.Is(err, roundtrip.ErrHeader) {
		t.Error(err)
	}
	if _, closed := b.state(); !closed {
		t.Error("the body is open")
	}
}
