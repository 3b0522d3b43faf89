package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStreaming: an event reaches the client before the next is there, and an
// upload reaches the upstream before it is whole.
func TestStreaming(t *testing.T) {
	next := make(chan struct{})
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/echo" {
			http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				w.Write(buf[:n])
				http.NewResponseController(w).Flush()
				if err != nil {
					return
				}
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	defer rec.Close()
	p := bothListeners(t, rec.URL, "")
	url := "http://" + p.Addr("web").String()
	resp, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for range 2 {
		if line, err := br.ReadString('\n'); err != nil || line != "data: x\n" {
			t.Fatalf("%q, %v", line, err)
		}
		br.ReadString('\n')
		next <- struct{}{}
	}
	if _, err := br.ReadString('\n'); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}

	echoLines(t, http.DefaultClient, url+"/echo")
}

// echoLines sends a request whose body goes on as lines of it come back.
func echoLines(t *testing.T, c *http.Client, url string) {
	t.Helper()
	in, out := io.Pipe()
	defer out.Close()
	r, _ := http.NewRequest("POST", url, in)
	go io.WriteString(out, "line 0\n") // the upstream isn't asked before the body has begun
	echo, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Body.Close()
	br := bufio.NewReader(echo.Body)
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		if i > 0 {
			io.WriteString(out, line)
		}
		if got, err := br.ReadString('\n'); err != nil || got != line {
			t.Fatalf("%q, %v", got, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestUpgrade changes to another protocol, which ends with the daemon.
func TestUpgrade(t *testing.T) {
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" || r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "no upgrade", 400)
			return
		}
		conn, rw, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Y: z\r\n\r\nhello ")
		io.Copy(conn, rw)
	}))
	defer rec.Close()
	p := bothListeners(t, rec.URL, "")
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nfirst")
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("X-Y") != "z" || resp.Header.Get("Upgrade") != "echo" {
			t.Fatalf("%+v, %v", resp, err)
		}
		return conn, br
	}
	conn, br := dial()
	defer conn.Close()
	got := make([]byte, len("hello first"))
	if _, err := io.ReadFull(br, got); err != nil || string(got) != "hello first" {
		t.Fatalf("%q, %v", got, err)
	}
	io.WriteString(conn, "second")
	conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "second" {
		t.Errorf("%q, %v", rest, err)
	}
	// By Megaki there is nothing to change to.
	if response := ways[0].send(t, p, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); !bytes.HasPrefix(response, []byte("HTTP/1.1 400 ")) {
		t.Errorf("by Megaki: %q", response)
	}

	open, br := dial()
	defer open.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	if err := p.Shutdown(ctx); err != nil || time.Since(start) > 10*time.Second {
		t.Errorf("Shutdown: %v after %v", err, time.Since(start))
	}
	if _, err := io.ReadAll(br); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the tunnel after the end: %v", err)
	}
}
