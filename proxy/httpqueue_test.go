package proxy

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"mkd/proxy/backend"
)

// TestConnectionQueueByClient: as TestQueueByClient, of an HTTP server whose connections are
// all in use. One client once filled the queue for all others.
func TestConnectionQueueByClient(t *testing.T) {
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
			free := make(chan struct{})
			u := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
			defer u.Close()
			release := sync.OnceFunc(func() { close(free) })
			defer release()
			p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {http: {upstreams: [{url: `+u.URL+`}], max_connections: 1, queue: 2, queue_timeout: 1m}}}
routes: [{backend: site}]
trusted_proxies: [127.0.0.1]
`))
			var mu sync.Mutex
			var all sync.WaitGroup
			statuses := make(map[string][]int) // by what was sent
			send := func(what, client string) {
				r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Addr("web").String()+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				if client != "" {
					r.Header.Set("X-Forwarded-For", client)
				}
				all.Go(func() {
					resp, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
					mu.Lock()
					defer mu.Unlock()
					statuses[what] = append(statuses[what], resp.StatusCode)
				})
			}
			server := func() backend.Upstream {
				return p.current.Load().backends["site"].Backend.(interface{ Upstreams() []backend.Upstream }).Upstreams()[0]
			}
			send("first", "192.0.2.9")
			await(t, "the connection is in use", func() bool { return server().Active == 1 && server().Waiting == 0 })
			send("filler", c.filler)
			await(t, "one waits", func() bool { return server().Waiting == 1 })
			send("filler", c.filler)
			await(t, "the queue is full", func() bool { return server().Waiting == 2 })
			send("late", "192.0.2.2")
			await(t, "one is refused", func() bool { mu.Lock(); defer mu.Unlock(); return len(statuses) == 1 })
			release()
			all.Wait()
			got := statuses["filler"]
			slices.Sort(got)
			if !slices.Equal(got, c.want) || !slices.Equal(statuses["late"], []int{c.late}) || !slices.Equal(statuses["first"], []int{200}) {
				t.Errorf("%v, want %v and %d", statuses, c.want, c.late)
			}
		})
	}
}
