package php

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"testing"
)

// BenchmarkHTTP sends HTTP requests with a browser's header to one worker, one after
// the other. BenchmarkDo does the same with raw messages. The script returns the
// response, prints it with 1000 echos, or prints it so within a buffer of its own.
func BenchmarkHTTP(b *testing.B) {
	for _, way := range []string{"returned", "printed", "buffered"} {
		b.Run(way, func(b *testing.B) { benchHTTP(b, way) })
	}
}

func benchHTTP(b *testing.B, way string) {
	p := benchPool(b)
	u, _ := url.ParseRequestURI("/" + way + "?a=1")
	c := &HTTPCall{ClientAddr: netip.MustParseAddrPort("192.0.2.7:4711"), Request: &http.Request{
		Method: "GET", URL: u, Proto: "HTTP/1.1", Host: "example.org", Header: http.Header{
			"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
			"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Language": {"en-US,en;q=0.5"},
			"Accept-Encoding": {"gzip, deflate, br"},
			"Cookie":          {"theme=dark; id=0123456789abcdef"},
			"Cache-Control":   {"no-cache"},
		}}}
	defer reportCPU(b, p)()
	for b.Loop() {
		if err := p.DoHTTP(b.Context(), c, discardResponse{io.Discard}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRaw sends raw messages of 64 bytes to one worker, one after the other.
func BenchmarkRaw(b *testing.B) {
	p := benchPool(b)
	defer reportCPU(b, p)()
	c := &Call{Body: bytes.Repeat([]byte("m"), 64)}
	for b.Loop() {
		if err := p.Do(b.Context(), c, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// reportCPU returns a function that reports the CPU time that the pool's worker has
// taken since: what PHP costs, however busy the machine is.
func reportCPU(b *testing.B, p *Pool) func() {
	cpu := func() (ns float64) {
		for _, w := range p.Status().Workers {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", w.PID))
			if err != nil {
				b.Fatal(err)
			}
			var n float64
			fmt.Sscan(string(text), &n)
			ns += n
		}
		return ns
	}
	before := cpu()
	return func() { b.ReportMetric((cpu()-before)/float64(b.N), "php-ns/op") }
}

// BenchmarkPutBack reports how long it takes to put the state of the process back:
// before a response is complete, and after it.
func BenchmarkPutBack(b *testing.B) {
	p := benchPool(b)
	best := [2]float64{1e9, 1e9}
	for b.Loop() {
		var out bytes.Buffer
		if err := p.Do(b.Context(), &Call{Body: []byte("put back")}, &out); err != nil {
			b.Fatal(err)
		}
		var before, after float64
		if _, err := fmt.Sscan(out.String(), &before, &after); err != nil {
			b.Fatal(err)
		}
		best[0], best[1] = min(best[0], before), min(best[1], after)
	}
	b.ReportMetric(best[0], "ns-before")
	b.ReportMetric(best[1], "ns-after")
}

type discardResponse struct{ io.Writer }

func (discardResponse) Head(int, http.Header, int64) error { return nil }
func (discardResponse) EarlyHints(http.Header) error       { return nil }
func (discardResponse) Flush() error                       { return nil }

func benchPool(b *testing.B) *Pool {
	p, err := NewPool(Options{Script: "testdata/bench.php", MinWorkers: 1, MaxWorkers: 1, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = p.Start(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	b.ReportAllocs()
	return p
}
