package forward

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"mkd/proxy/request"
)

// TestEncoders uses each encoder again after a stream that broke off.
func TestEncoders(t *testing.T) {
	decoders := map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	all, r := NewEncoders(), requestOf("192.0.2.1")
	text := strings.Repeat("abcdefgh", 50_000)
	for coding := range encoderKinds {
		for range 5 {
			broken, release := all.take(coding, r, io.Discard)
			io.WriteString(broken, text[:1000])
			release()
			var out bytes.Buffer
			e, release := all.take(coding, r, &out)
			if _, err := io.WriteString(e, text); err != nil {
				t.Fatal(coding, err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(coding, err)
			}
			release()
			r, err := decoders[coding](&out)
			if err != nil {
				t.Fatal(coding, err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("%s: %d bytes, %v", coding, len(got), err)
			}
		}
	}
	if n := all.memory.InUse(); n != 0 {
		t.Errorf("%d bytes are still in use", n)
	}
}

// TestEncodersAreShared: a client that keeps all the encoders that it can get leaves some
// for others, and a trusted proxy that names no client gets all that there are.
func TestEncodersAreShared(t *testing.T) {
	all := NewEncoders()
	take := func(r *request.Request) (releases []func()) {
		for {
			e, release := all.take("gzip", r, io.Discard)
			if e == nil {
				return releases
			}
			releases = append(releases, release)
		}
	}
	const most = maxEncoders >> 20
	greedy := take(requestOf("192.0.2.1"))
	if len(greedy) > most*3/4 {
		t.Fatalf("a client alone got %d encoders of %d", len(greedy), most)
	}
	if other := take(requestOf("192.0.2.2")); len(other) < most/8 {
		t.Errorf("another client got %d encoders of %d", len(other), most)
	} else {
		greedy = append(greedy, other...)
	}
	proxy := requestOf("192.0.2.3")
	proxy.Exempt = true
	greedy = append(greedy, take(proxy)...)
	if len(greedy) != most {
		t.Errorf("all clients together got %d encoders of %d", len(greedy), most)
	}
	for _, release := range greedy {
		release()
	}
	if n := all.memory.InUse(); n != 0 || all.memory.Clients() != 0 {
		t.Errorf("%d bytes are still in use, by %d clients", n, all.memory.Clients())
	}
}

func requestOf(client string) *request.Request {
	return &request.Request{Client: netip.AddrPortFrom(netip.MustParseAddr(client), 1)}
}
