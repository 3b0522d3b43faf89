package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestUnreadStreamsCount: a short response over HTTP/2 waits for its client after its handler
// has ended. A client that takes no byte of any had as many requests as it wanted.
func TestUnreadStreamsCount(t *testing.T) {
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, max_requests: 8}}
routes:
  - respond: {body: hello}
`))
	c, err := net.Dial("tcp", p.Addr("tls").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
	io.WriteString(secure, http2.ClientPreface)
	f := http2.NewFramer(secure, secure)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	sent, long := 0, strings.Repeat("x", 10_000)
	// ask sends requests, and returns how many responses have which status.
	ask := func(requests int) map[string]int {
		for range requests {
			block.Reset()
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/"}, {"x", long}} {
				enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*sent + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
			sent++
		}
		statuses := map[string]int{}
		for seen := 0; seen < requests; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("%v, after the statuses %v", err, statuses)
			}
			if h, ok := frame.(*http2.MetaHeadersFrame); ok {
				status := h.PseudoValue("status")
				statuses[status]++
				seen++
				if status == "503" && !h.StreamEnded() {
					t.Fatal("a refusal waits for the client")
				}
			}
		}
		return statuses
	}
	if statuses := ask(50); statuses["200"] != 6 || statuses["503"] != 44 {
		t.Errorf("%v", statuses)
	}
	if n := p.webMemory.InUse(); n < 6*int64(len(long)) {
		t.Errorf("%d bytes of heads are in use", n)
	}
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16})
	await(t, "the requests end with their streams", func() bool { return ask(1)["200"] == 1 })
	await(t, "their heads are gone", func() bool { return p.webMemory.InUse() == 0 })
}
