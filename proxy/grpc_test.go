package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

// grpcService is the service of grpc-go's interoperability tests.
type grpcService struct {
	pb.UnimplementedTestServiceServer
	ended chan error // why the context of a call ended that waits for that
}

func payload(n int) *pb.Payload { return &pb.Payload{Body: bytes.Repeat([]byte{'x'}, n)} }

// UnaryCall responds with as many bytes as are asked for, and the metadata of the
// client as a header and a trailer.
func (s *grpcService) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	if e := r.GetResponseStatus(); e != nil {
		grpc.SetTrailer(ctx, metadata.Pairs("x-end", "of a failure"))
		return nil, grpcstatus.Error(codes.Code(e.Code), e.Message)
	}
	if in.Get("x-wait") != nil {
		<-ctx.Done()
		s.ended <- ctx.Err()
		return nil, ctx.Err()
	}
	grpc.SetHeader(ctx, metadata.Pairs("x-begin", strings.Join(in.Get("x-meta"), ","), "x-te", strings.Join(in.Get("te"), ",")))
	grpc.SetTrailer(ctx, metadata.Pairs("x-end", strings.Join(in.Get("x-meta"), ","), "x-end-bin", "\x00\xff"))
	return &pb.SimpleResponse{Payload: payload(int(r.ResponseSize)), Username: fmt.Sprint(len(r.Payload.GetBody()))}, nil
}

func (s *grpcService) StreamingInputCall(stream grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	size := 0
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		size += len(r.Payload.GetBody())
	}
}

func (s *grpcService) StreamingOutputCall(r *pb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	for _, p := range r.ResponseParameters {
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(int(p.Size))}); err != nil {
			return err
		}
	}
	stream.SetTrailer(metadata.Pairs("x-end", "yes"))
	return nil
}

// FullDuplexCall speaks first, and then responds to each message.
func (s *grpcService) FullDuplexCall(stream grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(1)}); err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return grpcstatus.Error(codes.DataLoss, "the end")
		}
		if err != nil {
			select {
			case s.ended <- stream.Context().Err():
			default:
			}
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(len(r.Payload.GetBody()) + 1)}); err != nil {
			return err
		}
	}
}

// grpcServer starts a server, with or without TLS, and returns its URL.
func grpcServer(t *testing.T, s *grpcService, secure bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var options []grpc.ServerOption
	scheme := "h2c://"
	if secure {
		certificate := httptest.NewUnstartedServer(nil)
		certificate.StartTLS()
		t.Cleanup(certificate.Close)
		options, scheme = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certificate.TLS.Certificates}))), "h2://"
	}
	server := grpc.NewServer(options...)
	pb.RegisterTestServiceServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return scheme + l.Addr().String()
}

// TestGRPC sends calls of all kinds by grpc-go through an HTTPS listener to grpc-go.
func TestGRPC(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			s := &grpcService{ended: make(chan error, 1)}
			p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: "`+grpcServer(t, s, secure)+`"}], tls: {insecure: true}}}
  down: {http: {upstreams: [{url: "h2c://127.0.0.1:1"}]}}
routes:
  - {match: {headers: {x-down: "*"}}, backend: down}
  - {backend: api, compress: true}
`)
			c := trusting(t, filepath.Join(p.current.Load().cfg.Storage.Path, "internal", "tls.crt"))
			cfg := c.Transport.(*http.Transport).TLSClientConfig.Clone()
			cfg.ServerName = "localhost"
			conn, err := grpc.NewClient("passthrough:///"+p.Addr("tls").String(), grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			testGRPC(t, pb.NewTestServiceClient(conn), s)
		})
	}
}

func testGRPC(t *testing.T, c pb.TestServiceClient, s *grpcService) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	call := metadata.AppendToOutgoingContext(ctx, "x-meta", "a", "x-meta", "b")

	// Unary, small and large, with metadata before and after the message.
	for _, size := range []int{0, 10, 2 << 20} {
		var header, trailer metadata.MD
		resp, err := c.UnaryCall(call, &pb.SimpleRequest{ResponseSize: int32(size), Payload: payload(size)}, grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil || len(resp.Payload.GetBody()) != size || resp.Username != fmt.Sprint(size) {
			t.Fatalf("unary of %d bytes: %v, %d, %s", size, err, len(resp.GetPayload().GetBody()), resp.GetUsername())
		}
		if got := header.Get("x-begin"); len(got) != 1 || got[0] != "a,b" {
			t.Errorf("the header: %v", header)
		}
		if got := trailer.Get("x-end"); len(got) != 1 || got[0] != "a,b" || strings.Join(trailer.Get("x-end-bin"), "") != "\x00\xff" {
			t.Errorf("the trailer: %v", trailer)
		}
	}

	// A status, which a response without a body has in its header.
	var trailer metadata.MD
	_, err := c.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: int32(codes.ResourceExhausted), Message: "no more\nof ü"}}, grpc.Trailer(&trailer))
	if st := grpcstatus.Convert(err); st.Code() != codes.ResourceExhausted || st.Message() != "no more\nof ü" || len(trailer.Get("x-end")) != 1 {
		t.Errorf("a status: %v, %v", err, trailer)
	}
	if _, err = c.EmptyCall(ctx, &pb.Empty{}); grpcstatus.Code(err) != codes.Unimplemented {
		t.Errorf("a method that isn't there: %v", err)
	}
	if _, err = c.UnaryCall(metadata.AppendToOutgoingContext(ctx, "x-down", "1"), &pb.SimpleRequest{}); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("a server that is down: %v", err)
	}

	// A stream from the client.
	up, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := up.Send(&pb.StreamingInputCallRequest{Payload: payload(100_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := up.CloseAndRecv(); err != nil || sum.AggregatedPayloadSize != 500_000 {
		t.Errorf("a stream from the client: %v, %v", sum, err)
	}

	// A stream from the server.
	down, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{ResponseParameters: []*pb.ResponseParameters{{Size: 1}, {Size: 300_000}, {Size: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 300_000, 3} {
		if m, err := down.Recv(); err != nil || len(m.Payload.GetBody()) != want {
			t.Fatalf("a stream from the server: %v, want %d bytes", err, want)
		}
	}
	if _, err := down.Recv(); !errors.Is(err, io.EOF) || len(down.Trailer().Get("x-end")) != 1 {
		t.Errorf("the end of a stream from the server: %v, %v", err, down.Trailer())
	}

	// Both ways: the server speaks first, and each message is awaited.
	both, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if m, err := both.Recv(); err != nil || len(m.Payload.GetBody()) != i+1 {
			t.Fatalf("message %d: %v", i, err)
		}
		if err := both.Send(&pb.StreamingOutputCallRequest{Payload: payload(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); grpcstatus.Code(err) != codes.DataLoss {
		t.Errorf("the end of a stream both ways: %v", err)
	}

	// The client's deadline is the server's, and a client that leaves ends its call.
	short, stop := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "x-wait", "1"), 300*time.Millisecond)
	defer stop()
	if _, err := c.UnaryCall(short, &pb.SimpleRequest{}); grpcstatus.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a deadline: %v", err)
	}
	awaitEnd(t, s.ended)
	leaving, leave := context.WithCancel(ctx)
	gone, err := c.FullDuplexCall(leaving)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Recv(); err != nil {
		t.Fatal(err)
	}
	leave()
	if err := awaitEnd(t, s.ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the server of a client that left: %v", err)
	}
}

// awaitEnd waits until the server sees the end of a call.
func awaitEnd(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the server doesn't see the end of the call")
		return nil
	}
}
