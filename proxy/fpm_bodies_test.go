//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBodiesAreReceivedFirst: a client that disappears in mid-upload never
// reaches the script, and what was kept of its body is given back.
func TestBodiesAreReceivedFirst(t *testing.T) {
	f := startFPM(t, 1, map[string]string{"index.php": `<?php file_put_contents(dirname(__DIR__) . '/called', 'x', FILE_APPEND); echo strlen(file_get_contents('php://input'));`})
	if err := os.WriteFile(filepath.Join(f.dir, "called"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(f.dir, "called"), 0o666); err != nil {
		t.Fatal(err)
	}
	p, log := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`}}
routes:
  - {backend: site, max_body: 0}
limits: {spool: {memory: 1KiB, max_total: 1MiB}}
`))
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n%s", strings.Repeat("x", 50_000))
	conn.Close()
	awaitLog(t, log, `"in":50000`)
	send := func(size int) string {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		go fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body := make([]byte, 100)
		n, _ := resp.Body.Read(body)
		return resp.Status + " " + string(body[:n])
	}
	if got := send(3 << 18); got != "200 OK 786432" { // one client may have 3/4
		t.Errorf("as much as may be kept: %s", got)
	}
	if got := send(1 << 20); !strings.HasPrefix(got, "503 ") {
		t.Errorf("more: %s", got)
	}
	if got := send(500_000); got != "200 OK 500000" { // all was given back
		t.Errorf("after that: %s", got)
	}
	if called, _ := os.ReadFile(filepath.Join(f.dir, "called")); len(called) != 2 {
		t.Errorf("the script was called %d times", len(called))
	}
}

// growth runs f, and returns by how many bytes the memory of this process grew
// at most.
func growth(t *testing.T, f func()) int64 {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak is where we are
		t.Fatal(err)
	}
	before := memory(t, "VmRSS:")
	f()
	return memory(t, "VmHWM:") - before
}

// memory returns a line of /proc/self/status in bytes.
func memory(t *testing.T, name string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), name)
	kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), " kB"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// maxGrowth is how much memory a large body may take: far less than the body.
const maxGrowth = 48 << 20

// TestFPMLargeUpload uploads a file of 200 MiB in chunks, without a length. The
// script gets the whole of it, with its length, and mkd keeps none of it in memory.
func TestFPMLargeUpload(t *testing.T) {
	const size = 200 << 20
	f := startFPM(t, 1, map[string]string{"index.php": `<?php
		$f = $_FILES['f'];
		echo $_SERVER['CONTENT_LENGTH'], ' ', $f['size'], ' ', is_uploaded_file($f['tmp_name']) ? hash_file('sha256', $f['tmp_name']) : $f['error'];`})
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`}}
routes: [{backend: site, max_body: 300MiB}]
`))
	var sum hash.Hash
	var length int64
	var response string
	grown := growth(t, func() {
		pr, pw := io.Pipe()
		form := multipart.NewWriter(pw)
		sum = sha256.New()
		go func() {
			part, err := form.CreateFormFile("f", "large.bin")
			if err == nil {
				_, err = io.Copy(io.MultiWriter(part, sum), io.LimitReader(rand.NewChaCha8([32]byte{}), size))
			}
			if err == nil {
				err = form.Close()
			}
			pw.CloseWithError(err)
		}()
		counted := &countingReader{r: pr}
		resp, err := http.Post("http://"+p.Addr("web").String()+"/", form.FormDataContentType(), counted)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		response, length = string(b), counted.n
	})
	if want := fmt.Sprintf("%d %d %s", length, size, hex.EncodeToString(sum.Sum(nil))); response != want {
		t.Errorf("%.200q, want %q", response, want)
	}
	t.Logf("memory grew by %d KiB", grown>>10)
	if grown > maxGrowth {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// TestFPMLargeDownload: a response of 100 MiB comes as it is made, and mkd keeps
// none of it.
func TestFPMLargeDownload(t *testing.T) {
	const piece = 1 << 20
	f := startFPM(t, 1, map[string]string{"index.php": `<?php
		while (ob_get_level()) { ob_end_clean(); }
		for ($i = 0; $i < 100; $i++) {
			echo str_repeat(chr(65 + $i % 26), 1 << 20);
			flush();
			while ($i == 0 && !file_exists(dirname(__DIR__) . '/go')) { usleep(5000); clearstatcache(); }
		}`})
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`}}
routes: [{backend: site}]
`))
	got, want := sha256.New(), sha256.New()
	grown := growth(t, func() {
		c := http.Client{Timeout: time.Minute}
		resp, err := c.Get("http://" + p.Addr("web").String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.CopyN(got, resp.Body, piece); err != nil {
			t.Fatal(err)
		}
		touch(t, filepath.Join(f.dir, "go")) // only now does the script go on
		if _, err := io.Copy(got, resp.Body); err != nil {
			t.Fatal(err)
		}
	})
	for i := range 100 {
		want.Write(bytes.Repeat([]byte{byte('A' + i%26)}, piece))
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("the content is another")
	}
	t.Logf("memory grew by %d KiB", grown>>10)
	if grown > maxGrowth {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

// TestFPMKilledInResponse kills a worker in the middle of its response: a client of
// HTTP sees that it is cut, or gets 502 if nothing of it was sent to him, and in a
// message it is 502.
func TestFPMKilledInResponse(t *testing.T) {
	f := startFPM(t, 1, map[string]string{"index.php": `<?php
		while (ob_get_level()) { ob_end_clean(); }
		echo str_repeat('x', 100_000);
		flush();
		posix_kill(getmypid(), 9);
		sleep(60);`})
	p, _ := behind(t, f, "keep_alive: 0")
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	c := http.Client{Timeout: 20 * time.Second}
	resp, err := c.Get("http://" + p.Addr("web").String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	notBegun := resp.StatusCode == 502 && err == nil && !bytes.Contains(b, []byte("x"))
	if !notBegun && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s, %d bytes, %v", resp.Status, len(b), err)
	}
	if resp, body := parseResponse(t, ways[0].send(t, p, request), "GET"); resp.StatusCode != 502 || strings.Contains(body, "x") {
		t.Errorf("%d %.100q", resp.StatusCode, body)
	}
}

// TestFPMSlowUpload: the time that a client takes for its body isn't the
// script's.
func TestFPMSlowUpload(t *testing.T) {
	t.Parallel() // it waits nearly all of its time
	f := startFPM(t, 1, map[string]string{"index.php": `<?php echo strlen(file_get_contents('php://input'));`})
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`}}
routes: [{backend: site, timeout: 2s}]
`))
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nfour")
	time.Sleep(2200 * time.Millisecond) // what the test is about
	io.WriteString(conn, "more")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "8" || err != nil {
		t.Errorf("%s %q, %v", resp.Status, b, err)
	}
}

// TestFPMStreamedBody: with stream_body a script reads what has come of a body
// before the rest has; one without a length is refused.
func TestFPMStreamedBody(t *testing.T) {
	f := startFPM(t, 1, map[string]string{"index.php": `<?php
		$in = fopen('php://input', 'r');
		$first = fgets($in);
		touch(dirname(__DIR__) . '/begun');
		echo strlen($first), ' ', strlen(stream_get_contents($in));`})
	p, _ := behind(t, f, "stream_body: true")
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	const line, rest = 100_000, 50_000
	// PUT: of a POST, PHP itself reads all before the script runs.
	fmt.Fprintf(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s\n%s", line+1+rest, strings.Repeat("x", line), strings.Repeat("y", 40_000))
	await(t, "the script reads", func() bool { return exists(filepath.Join(f.dir, "begun")) })
	io.WriteString(conn, strings.Repeat("y", rest-40_000))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != fmt.Sprint(line+1, " ", rest) || err != nil {
		t.Errorf("%s %q, %v", resp.Status, b, err)
	}
	chunked := sendWeb(t, p, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
	if !bytes.HasPrefix(chunked, []byte("HTTP/1.1 411 ")) {
		t.Errorf("%q", chunked)
	}
}
