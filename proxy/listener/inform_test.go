package listener

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mkd/config"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/share"
)

// hintLease sends early hints with many fields, and makes the header anew for each, as
// package forward does. It reports on begun that it is about to send, and on done that it
// has.
type hintLease struct{ begun, done chan struct{} }

func (l *hintLease) Handle(w request.Response, r *request.Request, refused error) error {
	h := w.Header()
	for i := range 500 {
		h[fmt.Sprintf("X-%d", i)] = []string{"value"}
	}
	l.begun <- struct{}{}
	w.WriteHeader(http.StatusEarlyHints)
	clear(h)
	for i := range 500 {
		h[fmt.Sprintf("Y-%d", i)] = []string{"other"}
	}
	clear(h)
	l.done <- struct{}{}
	io.WriteString(w, "ok")
	return w.Finish()
}

func (*hintLease) Release() {}

// TestResetDuringHints: a client that resets its stream while early hints are written
// must not meet them in the midst of a change of the header: concurrent use of a map ends
// the process.
func TestResetDuringHints(t *testing.T) {
	l, err := logs.New(io.Discard, logs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	lease := &hintLease{make(chan struct{}), make(chan struct{})}
	made, served := opened(t, &config.Listener{Name: "web", HTTP: &config.HTTP{Address: "127.0.0.1:0", H2C: true, Web: wide}},
		&Daemon{Enter: func() request.Lease { return lease }, Base: t.Context(), Logs: l, HTTPMemory: share.NewPool(1<<20, 0)})
	c, err := net.Dial("tcp", made.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, c) // responses, and acknowledgements
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, nil)
	framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := range 100 {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/"}} {
			encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		stream := uint32(2*i + 1)
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		<-lease.begun
		if err := framer.WriteRSTStream(stream, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
		<-lease.done
	}
	c.Close()
	if err := made.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
