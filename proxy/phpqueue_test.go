package proxy

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mkd/php"
)

// TestQueueByClient: the clients behind a trusted proxy share PHP's queue by their
// addresses. The proxy itself, where it names no client, speaks for many: its
// requests count as those of different clients.
func TestQueueByClient(t *testing.T) {
	for _, c := range []struct {
		name   string
		filler string // X-Forwarded-For of the two requests that fill the queue
		want   []int  // statuses of these, sorted
		late   int    // status of a request of another client
	}{
		{"one client", "192.0.2.1", []int{200, 503}, 200},
		{"the proxy", "", []int{200, 200}, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			script, open := filepath.Join(dir, "script.php"), filepath.Join(dir, "open")
			code := `<?php $ARCANGELO_USERSPACE = ['on_handle' => function () {
				while (!file_exists('` + open + `')) { usleep(1000); clearstatcache(); }
				return "HTTP/1.1 200 OK\r\n\r\n";
			}];`
			if err := os.WriteFile(script, []byte(code), 0o644); err != nil {
				t.Fatal(err)
			}
			p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+script+`, workers: {min: 1, max: 1}, queue: 2}}}
routes: [{backend: site}]
trusted_proxies: [127.0.0.1]
`))
			send := func(client string) <-chan int {
				status := make(chan int, 1)
				r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Addr("web").String()+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				if client != "" {
					r.Header.Set("X-Forwarded-For", client)
				}
				go func() {
					resp, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Error(err)
						status <- 0
						return
					}
					resp.Body.Close()
					status <- resp.StatusCode
				}()
				return status
			}
			pool := p.current.Load().backends["site"].Backend.(interface{ Status() php.Status })
			await := func(what string, ok func() bool) {
				for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("timed out waiting: %s, %+v", what, pool.Status())
					}
				}
			}
			first := send("192.0.2.9")
			await("the worker is busy", func() bool { w := pool.Status().Workers; return len(w) == 1 && w[0].Busy })
			fillers := []<-chan int{send(c.filler), send(c.filler)}
			await("the queue is full", func() bool { return pool.Status().Waiting == 2 })
			late := send("192.0.2.2")
			await("one is refused", func() bool { return pool.Status().Counts.QueueFull == 1 })
			if err := os.WriteFile(open, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			got := []int{<-fillers[0], <-fillers[1]}
			slices.Sort(got)
			if status := <-late; !slices.Equal(got, c.want) || status != c.late || <-first != 200 {
				t.Errorf("statuses %v and %d, want %v and %d", got, status, c.want, c.late)
			}
		})
	}
}
