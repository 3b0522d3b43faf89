package php

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// TestMessagesInParts sends messages from a reader.
func TestMessagesInParts(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	for _, size := range []int{0, 1, partSize - 1, partSize, partSize + 1, 3 * partSize, 5_000_000} {
		body := make([]byte, size)
		rand.Read(body)
		for name, more := range map[string]io.Reader{
			"at once":    bytes.NewReader(body),
			"by halves":  iotest.HalfReader(bytes.NewReader(body)),
			"at the end": iotest.DataErrReader(bytes.NewReader(body)),
		} {
			var response bytes.Buffer
			err := p.Do(t.Context(), &Call{Body: []byte("echo "), More: more}, &response)
			if err != nil || !bytes.Equal(response.Bytes(), body) {
				t.Errorf("%d bytes %s: %d came back, %v", size, name, response.Len(), err)
			}
		}
	}
	gone := errors.New("the client has left")
	err := p.Do(t.Context(), &Call{Body: []byte("echo "), More: iotest.ErrReader(gone)}, io.Discard)
	if err != gone {
		t.Errorf("a message that is cut off: %v", err)
	}
	mustDo(t, p, "pid")
}

// TestResponsesInParts: a script returns a generator.
func TestResponsesInParts(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	pid := mustDo(t, p, "pid")
	if got := mustDo(t, p, "parts one, two, three"); got != "one, two, three" {
		t.Errorf("%q", got)
	}
	if got := mustDo(t, p, "bigparts 100"); len(got) != 10_000_000 || got[100_000] != 'b' {
		t.Errorf("%d bytes", len(got))
	}
	_, err := do(p, "halfway")
	var script *ScriptError
	if !errors.As(err, &script) || !strings.Contains(script.Message, "thrown halfway") {
		t.Errorf("halfway: %v", err)
	}
	full := errors.New("full")
	if err := p.Do(t.Context(), &Call{Body: []byte("bigparts 20")}, refuse{full}); err != full {
		t.Errorf("a response that is refused: %v", err)
	}
	if mustDo(t, p, "pid") != pid {
		t.Error("the worker was replaced")
	}
}

func TestPing(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	pid := mustDo(t, p, "pid")
	for range 3 {
		if err := p.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if mustDo(t, p, "pid") != pid {
		t.Error("the worker was replaced")
	}
	for _, mode := range []string{"says nothing", "wrong id", "dies", "well"} { // the last one sends an END
		broken, _ := start(t, fake(mode, Options{MinWorkers: 1, MaxWorkers: 1}))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := broken.Ping(ctx); err == nil {
			t.Errorf("%s: no error", mode)
		}
		cancel()
	}
}

// byHand starts Arcangelo, and returns functions to send a frame to it, to read
// one whose header is as given, and to wait for its end.
func byHand(t *testing.T, script string) (send func(frame string), want func(name, header string) (head, body string), wait func() error) {
	t.Helper()
	callsR, callsW, err1 := os.Pipe()
	framesR, framesW, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	code, err := loopCode(false, false)
	if err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(t.TempDir(), "arcangelo.php")
	if err := os.WriteFile(loop, code, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("php", loop, script)
	cmd.ExtraFiles = []*os.File{callsR, framesW}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	callsR.Close()
	framesW.Close()
	send = func(s string) {
		t.Helper()
		p, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err == nil {
			_, err = callsW.Write(p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want = func(name, header string) (head, body string) {
		t.Helper()
		p := make([]byte, 16)
		if _, err := io.ReadFull(framesR, p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n := int(p[2])<<8 | int(p[3])
		rest := make([]byte, n+int(p[6])<<8+int(p[7]))
		io.ReadFull(framesR, rest)
		if got := hex.EncodeToString(p); got != strings.ReplaceAll(header, " ", "") {
			t.Errorf("%s: %s, want %s; %q", name, got, header, rest)
		}
		return string(rest[:n]), string(rest[n:])
	}
	return send, want, cmd.Wait
}

// TestFramesByHand talks to Arcangelo in literal bytes, as docs/worker-frames.md has
// them, without the code of this package.
func TestFramesByHand(t *testing.T) {
	send, want, wait := byHand(t, "testdata/kit.php")
	version, err := exec.Command("php", "-r", "echo PHP_VERSION;").Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, body := want("READY", "01 11 0009 000000"+hex.EncodeToString([]byte{byte(len(version))})+" 0000000000000000"); body != string(version) {
		t.Errorf("version %q", body)
	}
	id, token := " 0102030405060708", " 101112131415161718191a1b1c1d1e1f"
	send("01 04 0000 00000000" + id)
	want("PONG", "01 17 0000 00000000"+id)
	send("01 01 001c 00000003" + id + " 00" + token + " 1267" + hex.EncodeToString([]byte("192.0.2.7")) + hex.EncodeToString([]byte("who")))
	if head, body := want("END", "01 12 0009 00000040"+id); head != "\x00\x00\x00\x00\x00\x00\x00\x00\x02" || body != "0102030405060708 101112131415161718191a1b1c1d1e1f 192.0.2.7 4711" {
		t.Errorf("response %x %q", head, body)
	}
	want("END after on_stop", "01 12 0008 00000000"+id)
	// A message in three parts, a response in two, and a LOG.
	send("01 01 0013 00000006" + id + " 01" + token + " 0000" + hex.EncodeToString([]byte("parts ")))
	send("01 02 0000 00000002" + id + hex.EncodeToString([]byte("ab")))
	send("01 03 0000 00000002" + id + hex.EncodeToString([]byte("cd")))
	want("PART", "01 13 0001 00000003"+id)
	want("PART", "01 13 0001 00000001"+id)
	want("END", "01 12 0009 00000000"+id)
	want("END after on_stop", "01 12 0008 00000000"+id)
	send("01 01 0013 00000006" + id + " 00" + token + " 0000" + hex.EncodeToString([]byte("buffer")))
	if head, body := want("LOG", "01 15 0001 00000009"+id); head != "\x01" || body != "left open" {
		t.Errorf("LOG %x %q", head, body)
	}
	want("END", "01 12 0009 00000004"+id)
	want("END after on_stop", "01 12 0008 00000000"+id)
	send("01 05 0000 00000000 0000000000000000")
	if err := wait(); err != nil {
		t.Errorf("after STOP: %v", err)
	}
}

// TestHTTPFramesByHand does the same with HTTP requests.
func TestHTTPFramesByHand(t *testing.T) {
	path := script(t, `$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
		if ($r->path === '/stream') {
			return (function () { yield 'one'; yield 'two'; })();
		}
		return (new arca\Response($r->method . $r->body() . $r->header('X-A'), 201))->header('Content-Type', 'a/b')->header('X-B', ['1', '2']);
	}];`)
	send, want, wait := byHand(t, path)
	version, err := exec.Command("php", "-r", "echo PHP_VERSION;").Output()
	if err != nil {
		t.Fatal(err)
	}
	want("READY", "01 11 0009 000000"+hex.EncodeToString([]byte{byte(len(version))})+" 0000000000000000")
	id, token := " 0102030405060708", " 101112131415161718191a1b1c1d1e1f"
	request := func(target string) string {
		values := "POST\x00" + target + "\x00" + target + "\x00HTTP/1.1\x00http\x00h\x00h\x00\x0080\x00/s.php\x002\x00\x001\x00X-A\x00v\x00"
		return "000000" + hex.EncodeToString([]byte{byte(len(values))}) + id + " 01" + token + " 0000" + hex.EncodeToString([]byte(values))
	}
	send("01 06 0013 " + request("/"))
	send("01 03 0000 00000002" + id + hex.EncodeToString([]byte("..")))
	fields := "Content-Type\x00a/b\x00X-B\x001\x00X-B\x002\x00"
	if head, body := want("HEAD", "01 16 000a 000000"+hex.EncodeToString([]byte{byte(len(fields))})+id); head != "\x00\xc9\x00\x00\x00\x00\x00\x00\x00\x07" || body != fields {
		t.Errorf("HEAD %x %q", head, body)
	}
	if head, body := want("END", "01 12 0008 00000007"+id); len(head) != 8 || body != "POST..v" {
		t.Errorf("END %x %q", head, body)
	}
	send("01 06 0013 " + request("/stream"))
	send("01 03 0000 00000000" + id)
	if head, _ := want("HEAD", "01 16 000a 00000026"+id); head != "\x00\xc8\xff\xff\xff\xff\xff\xff\xff\xff" {
		t.Errorf("HEAD %x", head)
	}
	want("PART", "01 13 0001 00000003"+id)
	want("PART", "01 13 0001 00000003"+id)
	want("END", "01 12 0008 00000000"+id)
	send("01 07 0000 00000000" + id) // GONE too late
	send("01 04 0000 00000000" + id)
	want("PONG", "01 17 0000 00000000"+id)
	send("01 05 0000 00000000 0000000000000000")
	if err := wait(); err != nil {
		t.Errorf("after STOP: %v", err)
	}
}
