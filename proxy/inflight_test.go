package proxy

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// TestInFlightByClient: a client with slow requests doesn't take all of max_in_flight, which
// once kept all others out.
func TestInFlightByClient(t *testing.T) {
	var slow atomic.Int64
	free := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow.Add(1)
			<-free
		}
	}))
	defer u.Close()
	release := sync.OnceFunc(func() { close(free) })
	defer release()
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {http: {upstreams: [{url: `+u.URL+`}]}}}
routes: [{backend: site, max_in_flight: 8}]
trusted_proxies: [127.0.0.1]
`))
	send := func(client, path string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Addr("web").String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", client)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	statuses := make(chan int, 8)
	for range 8 {
		go func() { statuses <- send("192.0.2.1", "/slow") }()
	}
	await(t, "all have begun or are refused", func() bool { return int(slow.Load())+len(statuses) == 8 })
	if n := slow.Load(); n != 6 { // three quarters
		t.Errorf("%d of 8 are one client's", n)
	}
	if status := send("192.0.2.2", "/"); status != 200 {
		t.Errorf("another client: %d", status)
	}
	release()
	got := make(map[int]int)
	for range 8 {
		got[<-statuses]++
	}
	if got[200] != 6 || got[503] != 2 {
		t.Errorf("the statuses of one client: %v", got)
	}
	if status := send("192.0.2.1", "/"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}
