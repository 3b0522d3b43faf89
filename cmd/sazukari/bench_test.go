package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mkd/megaki"
)

// TestBenchInterrupted ends a measurement while keys are made, and while a
// server hangs. Keys would take minutes, the server operationTimeout.
func TestBenchInterrupted(t *testing.T) {
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := bench{clients: 10000}
	if err := b.run(ctx, io.Discard, io.Discard); err == nil || err.Error() != "interrupted" {
		t.Errorf("while keys are made: %v", err)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 1)) // the SYN
		cancel()
		io.Copy(io.Discard, conn)
	}()
	key, err := megaki.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	b = bench{clients: 1, duration: time.Hour, mode: "message", cfg: &megaki.Config{ServerKey: &key.PublicKey}}
	b.server.address, b.work = l.Addr().String(), b.messages
	var out strings.Builder
	if err := b.run(ctx, &out, io.Discard); err == nil || !strings.Contains(out.String(), "0 done") || !strings.Contains(out.String(), " 0 failed") {
		t.Errorf("%v: %s", err, out.String())
	}
	if took := time.Since(start); took >= operationTimeout {
		t.Errorf("it took %s", took)
	}
}

func TestBench(t *testing.T) {
	s := raw(t, func(msg []byte) ([]byte, error) { return msg, nil })
	for _, mode := range []string{"message", "handshake", "resume"} {
		got := command("", "bench", "-s", s.address, "-k", s.file("server.key.pub"), "-c", "1", "-d", "1s", "--mode", mode)
		if got.code != 0 || !strings.Contains(got.out, " 0 failed") || !strings.Contains(got.out, "mode "+mode) {
			t.Errorf("%s: %v", mode, got)
		}
	}
}
