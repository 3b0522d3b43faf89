package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

// TestNoWebSocketsWithinStreams: HTTP/2 doesn't offer extended CONNECT, so that browsers
// open a connection of HTTP/1.1 for a WebSocket, and HTTP/3 refuses it.
func TestNoWebSocketsWithinStreams(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, "  - backend: api\n")
	address := p.Addr("secure").String()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	setDeadline(conn)
	io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, bufio.NewReader(conn))
	fr.WriteSettings()
	frame, err := fr.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	if offered, ok := frame.(*http2.SettingsFrame).Value(http2.SettingEnableConnectProtocol); ok && offered != 0 {
		t.Error("HTTP/2 offers extended CONNECT")
	}

	qc, err := quic.DialAddr(t.Context(), address, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer qc.CloseWithError(0, "")
	str, err := new(http3.Transport).NewClientConn(qc).OpenRequestStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: http.MethodConnect, Proto: "websocket", Host: "localhost", URL: &url.URL{Scheme: "https", Host: "localhost", Path: "/"}, Header: make(http.Header)}
	if err := str.SendRequestHeader(r.WithContext(context.Background())); err != nil {
		t.Fatal(err)
	}
	resp, err := str.ReadResponse()
	if err != nil || resp.StatusCode != http.StatusNotImplemented {
		t.Errorf("extended CONNECT over HTTP/3: %v, %v", resp, err)
	}
	if saw := rec.take(); len(saw) > 0 {
		t.Errorf("the upstream saw %q", saw)
	}
}
