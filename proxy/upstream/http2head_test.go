package upstream

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// framesOf starts a server of HTTP/2 that sends what respond makes of each request, and
// returns a client of it.
func framesOf(t *testing.T, respond func(f *http2.Framer, stream uint32)) *HTTP2 {
	t.Helper()
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		framer := http2.NewFramer(c, c)
		framer.WriteSettings()
		for {
			f, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := f.(*http2.HeadersFrame); ok {
				respond(framer, h.StreamID)
			}
		}
	})
	c := &HTTP2{Address: s.Address}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// writeFields writes a HEADERS frame.
func writeFields(f *http2.Framer, stream uint32, last bool, fields ...[2]string) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, field := range fields {
		enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: last, EndHeaders: true})
}

// TestStatusInHTTP2: a status that isn't one is no response.
func TestStatusInHTTP2(t *testing.T) {
	for status, ok := range map[string]bool{"200": true, "999": true, "1000": false, "20": false, "-200": false, "": false, "+200": false, "0200": false} {
		c := framesOf(t, func(f *http2.Framer, stream uint32) {
			writeFields(f, stream, true, [2]string{":status", status})
		})
		resp, err := c.RoundTrip(http2Request(t, "GET", nil))
		if ok != (err == nil) || err == nil && strconv.Itoa(resp.StatusCode) != status {
			t.Errorf("%q: %v, %v", status, resp, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		if c.Active() != 0 {
			t.Errorf("%q: %d requests are in flight", status, c.Active())
		}
	}
}

// TestContentLengthInHTTP2: clients of HTTP/1 get the length of the header, and those of
// HTTP/2 the bytes that came. A response whose Content-Length isn't one number is malformed,
// as in HTTP/1.
func TestContentLengthInHTTP2(t *testing.T) {
	for _, test := range []struct {
		method, status string
		lines          []string
		body           string
		ok             bool
		want           []string // Content-Length
	}{
		{"GET", "200", nil, "hello!", true, nil},
		{"GET", "200", []string{"6"}, "hello!", true, []string{"6"}},
		{"GET", "200", []string{"5", "6"}, "hello!", false, nil},
		{"GET", "200", []string{"6", "6"}, "hello!", false, nil},
		{"GET", "200", []string{"6, 6"}, "hello!", false, nil},
		{"GET", "200", []string{"+6"}, "hello!", false, nil},
		{"GET", "200", []string{"-6"}, "hello!", false, nil},
		{"GET", "200", []string{" 6"}, "hello!", false, nil},
		{"GET", "200", []string{""}, "hello!", false, nil},
		{"GET", "200", []string{"99999999999999999999"}, "hello!", false, nil},
		{"HEAD", "200", []string{"6"}, "", true, []string{"6"}},
		{"HEAD", "200", []string{"5", "6"}, "", false, nil},
		{"GET", "304", []string{"6"}, "", true, []string{"6"}},
		{"GET", "204", []string{"6"}, "", true, nil},
	} {
		c := framesOf(t, func(f *http2.Framer, stream uint32) {
			fields := [][2]string{{":status", test.status}}
			for _, line := range test.lines {
				fields = append(fields, [2]string{"content-length", line})
			}
			writeFields(f, stream, test.body == "", fields...)
			if test.body != "" {
				f.WriteData(stream, true, []byte(test.body))
			}
		})
		resp, err := c.RoundTrip(http2Request(t, test.method, nil))
		if test.ok != (err == nil) || err != nil && !errors.Is(err, roundtrip.ErrHeader) {
			t.Errorf("%+v: %v", test, err)
		}
		if err == nil {
			if got := resp.Header["Content-Length"]; !slices.Equal(got, test.want) {
				t.Errorf("%+v: Content-Length is %q", test, got)
			}
			resp.Body.Close()
		}
		if c.Active() != 0 {
			t.Errorf("%+v: %d requests are in flight", test, c.Active())
		}
	}
}

// TestFieldsInHTTP2: spaces around values are dropped, and fields that may not come after
// the body, as in HTTP/1.
func TestFieldsInHTTP2(t *testing.T) {
	c := framesOf(t, func(f *http2.Framer, stream uint32) {
		writeFields(f, stream, false, [2]string{":status", "103"}, [2]string{"link", " </a>"})
		writeFields(f, stream, false, [2]string{":status", "200"}, [2]string{"location", " /x\t"}, [2]string{"trailer", "x-t, transfer-encoding, y z"})
		f.WriteData(stream, false, []byte("hello!"))
		writeFields(f, stream, true, [2]string{"x-t", " 1 "}, [2]string{"upgrade", "x"}, [2]string{"content-length", "3"}, [2]string{"transfer-encoding", "chunked"}, [2]string{"host", "x"})
	})
	link := ""
	resp, err := c.Do(http2Request(t, "GET", nil), nil, eventFuncs{inform: func(_ int, h http.Header) error {
		link = h.Get("Link")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Location"); got != "/x" || link != "</a>" {
		t.Errorf("Location is %q, Link is %q", got, link)
	}
	if got := slices.Collect(maps.Keys(resp.Trailer)); !slices.Equal(got, []string{"X-T"}) {
		t.Errorf("the trailer announces %q", got)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "hello!" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if got := resp.Trailer; len(got) != 1 || got.Get("X-T") != "1" {
		t.Errorf("the trailer is %q", got)
	}
}

// TestUnreadInHTTP2: what a server may send of a response that nobody reads is kept in
// memory. It was 4 MiB of each.
func TestUnreadInHTTP2(t *testing.T) {
	window := make(chan uint32, 1)
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		f, _ := http2.NewFramer(c, c).ReadFrame()
		if settings, ok := f.(*http2.SettingsFrame); ok {
			n, _ := settings.Value(http2.SettingInitialWindowSize)
			window <- n
		}
	})
	c := &HTTP2{Address: s.Address}
	t.Cleanup(c.CloseIdleConnections)
	c.RoundTrip(http2Request(t, "GET", nil))
	if n := <-window; n == 0 || n > maxUnread {
		t.Errorf("the server may send %d bytes", n)
	}
}
