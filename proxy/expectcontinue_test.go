package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"
)

// TestExpectContinueInStreams: a client of HTTP/2 or HTTP/3 that waits for 100 (Continue)
// before it sends the body gets it, once, and its response.
func TestExpectContinueInStreams(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`)
	clients := streamingClients(t, p)
	for _, way := range []string{"h2", "h3"} {
		for _, length := range []int64{4, -1} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			body, client := io.Pipe()
			asked := make(chan struct{}, 10)
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() { asked <- struct{}{} }})
			go func() {
				select {
				case <-asked:
					io.WriteString(client, "body")
					client.Close()
				case <-ctx.Done():
					client.CloseWithError(ctx.Err())
				}
			}()
			r, err := http.NewRequestWithContext(ctx, "POST", clients[way].base+"/", body)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			r.Header.Set("Expect", "100-continue")
			resp, err := clients[way].client.Do(r)
			if err != nil {
				t.Errorf("%s, length %d: %v", way, length, err)
				continue
			}
			resp.Body.Close()
			if saw := rec.take(); resp.StatusCode != 200 || len(saw) != 1 || saw[0].body != "body" || len(asked) != 0 {
				t.Errorf("%s, length %d: %s, asked %d times more, and the upstream saw %q", way, length, resp.Status, len(asked), saw)
			}
		}
	}
}

// TestRefusedWithoutContinue: a client that waits for 100 (Continue) doesn't get it if the
// route refuses the request, but the response alone.
func TestRefusedWithoutContinue(t *testing.T) {
	p, _ := allListeners(t, `
routes:
  - match: {paths: [/refused]}
    respond: {status: 403, body: "no\n"}
  - match: {paths: [/large]}
    max_body: 2
    respond: {status: 200}
`)
	clients := streamingClients(t, p)
	for _, way := range []string{"h1", "h2", "h3"} {
		if clients[way].client == nil {
			continue
		}
		for _, method := range []string{"POST", "DELETE"} {
			for path, status := range map[string]int{"/refused": 403, "/large": 413} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				asked := make(chan struct{}, 10)
				ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() { asked <- struct{}{} }})
				body, client := io.Pipe() // nothing is sent
				defer client.Close()
				r, err := http.NewRequestWithContext(ctx, method, clients[way].base+path, body)
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = 4
				r.Header.Set("Expect", "100-continue")
				resp, err := clients[way].client.Do(r)
				if err != nil {
					t.Errorf("%s %s: %v", way, path, err)
					continue
				}
				resp.Body.Close()
				if resp.StatusCode != status || len(asked) > 0 {
					t.Errorf("%s %s %s: %s, after %d times 100 (Continue)", way, method, path, resp.Status, len(asked))
				}
			}
		}
	}
}
