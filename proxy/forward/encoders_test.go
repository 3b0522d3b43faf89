package forward

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// TestEncoders uses each encoder again after a stream that broke off.
func TestEncoders(t *testing.T) {
	decoders := map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	before := encodersInUse.Load()
	text := strings.Repeat("abcdefgh", 50_000)
	for coding := range encoderKinds {
		for range 5 {
			broken := takeEncoder(coding, io.Discard)
			io.WriteString(broken, text[:1000])
			giveEncoder(coding, broken)
			var out bytes.Buffer
			e := takeEncoder(coding, &out)
			if _, err := io.WriteString(e, text); err != nil {
				t.Fatal(coding, err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(coding, err)
			}
			giveEncoder(coding, e)
			r, err := decoders[coding](&out)
			if err != nil {
				t.Fatal(coding, err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("%s: %d bytes, %v", coding, len(got), err)
			}
		}
	}
	if now := encodersInUse.Load(); now != before {
		t.Errorf("%d bytes are still in use", now-before)
	}
}

// TestEncodersAreBounded takes encoders until none is left.
func TestEncodersAreBounded(t *testing.T) {
	encodersInUse.Add(maxEncoders - 1<<20)
	defer encodersInUse.Add(-(maxEncoders - 1<<20))
	if e := takeEncoder("br", io.Discard); e != nil {
		t.Error("there is memory for br")
	}
	e := takeEncoder("gzip", io.Discard)
	if e == nil {
		t.Fatal("there is no memory for gzip")
	}
	if takeEncoder("gzip", io.Discard) != nil {
		t.Error("there is memory for a second one")
	}
	giveEncoder("gzip", e)
	if e := takeEncoder("gzip", io.Discard); e == nil {
		t.Error("the memory isn't given back")
	} else {
		giveEncoder("gzip", e)
	}
}
