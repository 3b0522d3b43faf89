package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

// grpcFrame returns a message as gRPC frames it.
func grpcFrame(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(data))), data...)
}

// readFrame reads a message that gRPC framed.
func readFrame(t *testing.T, r io.Reader, m proto.Message) {
	t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(r, data); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
}

// TestGRPCOverHTTP3 sends calls of gRPC, as a client of HTTP/3 would frame them: there is
// none in grpc-go. Messages pass as they come, and the status comes in the trailer.
func TestGRPCOverHTTP3(t *testing.T) {
	s := &grpcService{ended: make(chan error, 1)}
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: "`+grpcServer(t, s, false)+`"}]}}
  down: {http: {upstreams: [{url: "h2c://127.0.0.1:1"}]}}
routes:
  - {match: {headers: {x-down: "*"}}, backend: down}
  - {backend: api, compress: true}
`))
	c := http3Client(t, p.Addr("tls").String(), "", nil)
	c.Timeout = 60 * time.Second
	call := func(method string, body io.Reader, fields ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest("POST", "https://localhost/grpc.testing.TestService/"+method, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}

	resp := call("UnaryCall", bytes.NewReader(grpcFrame(t, &pb.SimpleRequest{ResponseSize: 300_000, Payload: payload(200_000)})), "x-meta: a")
	var unary pb.SimpleResponse
	readFrame(t, resp.Body, &unary)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 || len(unary.Payload.Body) != 300_000 || unary.Username != "200000" {
		t.Errorf("unary: %d bytes, %s, %v", len(unary.Payload.Body), unary.Username, err)
	}
	if resp.Header.Get("X-Begin") != "a" || resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("X-End") != "a" {
		t.Errorf("unary: the header %v, and the trailer %v", resp.Header, resp.Trailer)
	}

	// A status without a message.
	resp = call("UnaryCall", bytes.NewReader(grpcFrame(t, &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: int32(codes.NotFound), Message: "nothing"}})))
	body, err := io.ReadAll(resp.Body)
	if got := resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status"); err != nil || len(body) > 0 || got != "5" {
		t.Errorf("a status: %q, %v, %v, %v", body, err, resp.Header, resp.Trailer)
	}
	resp = call("UnaryCall", bytes.NewReader(grpcFrame(t, &pb.SimpleRequest{})), "X-Down: 1")
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "14" {
		t.Errorf("a server that is down: %s, %v", resp.Status, resp.Header)
	}

	// Both ways: the server speaks first, and each message is awaited.
	in, out := io.Pipe()
	resp = call("FullDuplexCall", in)
	for i := range 5 {
		var m pb.StreamingOutputCallResponse
		readFrame(t, resp.Body, &m)
		if len(m.Payload.Body) != i+1 {
			t.Fatalf("message %d has %d bytes", i, len(m.Payload.Body))
		}
		if _, err := out.Write(grpcFrame(t, &pb.StreamingOutputCallRequest{Payload: payload(i + 1)})); err != nil {
			t.Fatal(err)
		}
	}
	out.Close()
	var last pb.StreamingOutputCallResponse
	readFrame(t, resp.Body, &last)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 || resp.Trailer.Get("Grpc-Status") != "15" {
		t.Errorf("the end of a stream both ways: %q, %v, %v", rest, err, resp.Trailer)
	}
}
