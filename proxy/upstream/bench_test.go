package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mkd/proxy/roundtrip"
)

// benchServer responses each request with n bytes, and does as little else as can
// be.
func benchServer(n int) func(c *fakeConn) {
	response := []byte("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: " +
		strconv.Itoa(n) + "\r\n\r\n" + strings.Repeat("x", n))
	return func(c *fakeConn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Conn.Read(buf)
			if err != nil {
				return
			}
			if !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) && !bytes.HasSuffix(buf[:n], []byte("body")) {
				panic("a request came in pieces")
			}
			if _, err := c.Write(response); err != nil {
				return
			}
		}
	}
}

// BenchmarkRoundTrip compares a Transport to http.Transport, and to the same
// bytes written and read without a client; they take turns. It reports medians
// and their ratio, and allocations of each.
func BenchmarkRoundTrip(b *testing.B) {
	for _, c := range []struct {
		name, body string
		size       int
	}{{"get1K", "", 1 << 10}, {"post1K", strings.Repeat("x", 1000) + "body", 1 << 10}, {"get64K", "", 64 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			tr, s := serve(b, benchServer(c.size))
			theirs := &http.Transport{DisableCompression: true}
			defer theirs.CloseIdleConnections()
			buf := make([]byte, 32<<10)
			method := "GET"
			if c.body != "" {
				method = "POST"
			}
			do := func(rt http.RoundTripper) time.Duration {
				var body io.Reader
				if c.body != "" {
					body = strings.NewReader(c.body)
				}
				r, err := http.NewRequest(method, "http://"+s.Address+"/path", body)
				if err != nil {
					b.Fatal(err)
				}
				r.Header["Accept"] = []string{"*/*"}
				r.Header["User-Agent"] = []string{"bench"}
				start := time.Now()
				resp, err := rt.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = resp.Body.Read(buf)
				}
				resp.Body.Close()
				if err != io.EOF {
					b.Fatal(err)
				}
				return time.Since(start)
			}
			nc, err := (&Transport{Address: s.Address}).connect(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Discard()
			br := bufio.NewReaderSize(nc.Conn, roundtrip.ReaderSize)
			request := []byte(method + " /path HTTP/1.1\r\n\r\n")
			raw := func() time.Duration {
				start := time.Now()
				nc.Conn.Write(request)
				for {
					line, err := br.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if len(line) == 2 {
						break
					}
				}
				br.Discard(c.size)
				return time.Since(start)
			}
			var d [3][]time.Duration
			b.ReportAllocs()
			for b.Loop() {
				d[0] = append(d[0], do(tr))
				b.StopTimer()
				d[1] = append(d[1], do(theirs))
				d[2] = append(d[2], raw())
				b.StartTimer()
			}
			us := func(i int) float64 {
				slices.Sort(d[i])
				return float64(d[i][len(d[i])/2].Nanoseconds()) / 1000
			}
			b.ReportMetric(us(0), "µs")
			b.ReportMetric(us(1), "µs-net/http")
			b.ReportMetric(us(2), "µs-raw")
			b.ReportMetric(us(1)/us(0), "times-faster")
			b.ReportMetric(testing.AllocsPerRun(100, func() { do(theirs) }), "allocs-net/http")
		})
	}
}
