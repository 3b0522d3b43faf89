//go:build linux

package fastcgi

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mkd/proxy/roundtrip"
)

// rawRoundTrip is the least that a request and its response can take: bytes that were made
// beforehand are written to c, which is dialled if nil, and records read up to
// END_REQUEST.
func rawRoundTrip(b *testing.B, address string, c net.Conn, br *bufio.Reader, request []byte, keep bool) net.Conn {
	if c == nil {
		var err error
		if c, err = net.Dial("unix", address); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := c.Write(request); err != nil {
		b.Fatal(err)
	}
	br.Reset(c)
	for {
		h, err := br.Peek(8)
		if err != nil {
			b.Fatal(err)
		}
		typ, n := h[1], int(binary.BigEndian.Uint16(h[4:]))+int(h[6])
		if _, err := br.Discard(8 + n); err != nil {
			b.Fatal(err)
		}
		if typ == 3 {
			break
		}
	}
	if !keep {
		c.Close()
		return nil
	}
	return c
}

// compare measures a Transport, and against it the least that can be done; the
// two take turns. It reports medians, and their ratio.
func compare(b *testing.B, tr *Transport, keep int, request func() *http.Request) {
	tr.KeepAlive = keep
	r := request()
	sample := &roundTrip{t: tr, r: r, call: tr.Call(r)}
	sample.Begin(sample.r)
	if err := sample.prepare(); err != nil {
		b.Fatal(err)
	}
	raw, buf := bufio.NewReaderSize(nil, roundtrip.ReaderSize), make([]byte, 32<<10)
	var c net.Conn
	var ours, least []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		r := request()
		start := time.Now()
		resp, err := tr.RoundTrip(r)
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
		ours = append(ours, time.Since(start))
		b.StopTimer()
		start = time.Now()
		c = rawRoundTrip(b, tr.Address, c, raw, *sample.head, keep > 0)
		least = append(least, time.Since(start))
		b.StartTimer()
	}
	if c != nil {
		c.Close()
	}
	slices.Sort(ours)
	slices.Sort(least)
	us := func(d []time.Duration) float64 { return float64(d[len(d)/2].Nanoseconds()) / 1000 }
	b.ReportMetric(us(ours), "µs")
	b.ReportMetric(us(least), "µs-raw")
	b.ReportMetric(us(ours)/us(least), "ratio")
}

// BenchmarkFake compares a round trip to a server in this process with the same
// bytes without a client.
func BenchmarkFake(b *testing.B) {
	response := stdout("Content-Type: text/plain\r\nX-Powered-By: PHP\r\n\r\n"+strings.Repeat("x", 1000)) + end(0)
	for _, c := range []struct {
		name string
		keep int
	}{{"new", 0}, {"kept", 1}} {
		b.Run(c.name, func(b *testing.B) {
			tr, _ := serve(b, responding(response))
			compare(b, tr, c.keep, func() *http.Request { return newRequest(b, "GET", "") })
		})
	}
}

// BenchmarkFPM does so with PHP-FPM.
func BenchmarkFPM(b *testing.B) {
	f := startFPM(b, 3)
	for _, c := range []struct {
		name, method, query, body string
		keep                      int
	}{
		{"hello/new", "GET", "", "", 0},
		{"hello/kept", "GET", "", "", 1},
		{"post1K/new", "POST", "do=echo", strings.Repeat("x", 1000), 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			compare(b, f.tr, c.keep, func() *http.Request { return f.request(b, c.method, c.query, c.body) })
			f.tr.CloseIdleConnections()
		})
	}
	b.Run("download20M", func(b *testing.B) {
		b.SetBytes(20 << 20)
		f.tr.KeepAlive = 0
		compare(b, f.tr, 0, func() *http.Request { return f.request(b, "GET", "do=download&mib=20", "") })
	})
	b.Run("upload20M", func(b *testing.B) {
		body := strings.Repeat("x", 20<<20)
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			f.do(b, "POST", "do=hash", body)
		}
	})
}
