package proxy

import (
	"os"
	"testing"

	"mkd/config"
)

// BenchmarkMessage carries a message of 64 bytes from a client through a
// session, the router and a PHP worker, and back.
func BenchmarkMessage(b *testing.B) {
	out, err := os.Create(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	cfg := load(b, oneDoor)
	cfg.Backends[0].PHP.MaxRequests = 0
	logs, err := NewLogs(config.Log{Level: "info", Format: "json", Access: true}, out)
	if err != nil {
		b.Fatal(err)
	}
	defer logs.Close()
	p, err := Build(cfg, logs)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer p.Shutdown(b.Context())
	message := make([]byte, 64)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		c := client(b, p, "app")
		for pb.Next() {
			if _, err := c.Send(b.Context(), message); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
