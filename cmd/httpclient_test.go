package cmd

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mkd/megaki"
	"mkd/megaki/httpclient"
)

// TestHTTPClient sends requests through net/http's client from many goroutines:
// each gets its own response, over few connections and with few handshakes.
func TestHTTPClient(t *testing.T) {
	d := startDaemonWith(t, daemonOptions{
		megaki: "payload: raw",
		php:    "workers: {min: 2, max: 2}",
		script: `<?php $ARCANGELO_USERSPACE = ['on_handle' => function () {
			[$head, $body] = explode("\r\n\r\n", arca::$request, 2);
			return "HTTP/1.1 200 OK\r\nContent-Length: " . strlen($body) . "\r\n\r\n" . $body;
		}];`,
	})
	var mu sync.Mutex
	connections, handshakes := 0, 0
	tr := &httpclient.Transport{Address: d.address, Config: d.config, MaxConns: 4, OnConnect: func(c *megaki.Conn) error {
		mu.Lock()
		defer mu.Unlock()
		if connections++; !c.Resumed() {
			handshakes++
		}
		return nil
	}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	var load sync.WaitGroup
	for range 16 {
		load.Go(func() {
			for range 25 {
				want := strings.Repeat(rand.Text(), 50)
				response, err := client.Post("https://example.org/", "text/plain", strings.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || string(got) != want {
					t.Errorf("%q, %v, want %q", got, err, want)
				}
			}
		})
	}
	load.Wait()
	t.Logf("%d connections, %d handshakes", connections, handshakes)
	if connections != 4 || handshakes < 1 {
		t.Errorf("%d connections, %d handshakes, want 4 connections", connections, handshakes)
	}
}
