package php

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
)

// BenchmarkHTTP sends HTTP requests with a browser's header to one worker, one after
// the other. BenchmarkDo does the same with raw messages.
func BenchmarkHTTP(b *testing.B) {
	p := benchPool(b)
	u, _ := url.ParseRequestURI("/hello?a=1")
	c := &HTTPCall{ClientAddr: netip.MustParseAddrPort("192.0.2.7:4711"), Request: &http.Request{
		Method: "GET", URL: u, Proto: "HTTP/1.1", Host: "example.org", Header: http.Header{
			"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
			"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Language": {"en-US,en;q=0.5"},
			"Accept-Encoding": {"gzip, deflate, br"},
			"Cookie":          {"theme=dark; id=0123456789abcdef"},
			"Cache-Control":   {"no-cache"},
		}}}
	for b.Loop() {
		if err := p.DoHTTP(b.Context(), c, discardResponse{io.Discard}); err != nil {
			b.Fatal(err)
		}
	}
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
