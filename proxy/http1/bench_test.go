package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkRequest compares with net/http's server: a request as a browser's
// sends, a response of 64 bytes, one connection kept. The client is the same
// and costs little, so the difference is the servers'.
func BenchmarkRequest(b *testing.B) {
	const request = "GET /api/v1/messages/42?full=1 HTTP/1.1\r\n" +
		"Host: api.example.org\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Connection: keep-alive\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"
	body := make([]byte, 64)
	handle := func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Write(body)
	}
	run := func(b *testing.B, addr string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		br := bufio.NewReader(c)
		say := []byte(request)
		size := 0
		b.ReportAllocs()
		for b.Loop() {
			c.Write(say)
			if size == 0 {
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					b.Fatal(err)
				}
				dump, _ := io.ReadAll(resp.Body)
				_ = dump
				c.Write(say)
				br.Peek(1)
				size = br.Buffered()
				br.Discard(size)
				continue
			}
			if _, err := br.Discard(size); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("http1", func(b *testing.B) {
		_, addr := start(b, handle, nil)
		run(b, addr)
	})
	b.Run("net/http", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(handle)}
		go s.Serve(l)
		defer s.Close()
		run(b, l.Addr().String())
	})
}
