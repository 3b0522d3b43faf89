package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"mkd/proxy/roundtrip"
)

// slowClient doesn't take an informational response until it is let go.
type slowClient struct{ began, letGo chan struct{} }

func (c *slowClient) Inform(int, http.Header) error {
	c.began <- struct{}{}
	<-c.letGo
	return nil
}
func (c *slowClient) Excess() {}

// hinting is a server that sends early hints as long as the client waits; of a request
// for its body it responds.
func hinting(t *testing.T) *HTTP2 {
	return newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.WriteString(w, "body")
			return
		}
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		<-r.Context().Done()
	})
}

// TestInformEndsBeforeDo: when Do has returned, nobody writes to the client any more.
func TestInformEndsBeforeDo(t *testing.T) {
	c := hinting(t)
	client := &slowClient{make(chan struct{}), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := c.Do(http2Request(t, "GET", nil).WithContext(ctx), make(http.Header), client)
		done <- err
	}()
	<-client.began
	cancel()
	select {
	case err := <-done:
		t.Errorf("Do has returned while the client is written to: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(client.letGo)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSlowClientOfHints: a client that doesn't take its hints keeps nobody else's
// response on the same connection.
func TestSlowClientOfHints(t *testing.T) {
	c := hinting(t)
	client := &slowClient{make(chan struct{}), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Do(http2Request(t, "GET", nil).WithContext(ctx), make(http.Header), client)
	}()
	<-client.began
	other, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	resp, err := c.RoundTrip(http2Request(t, "POST", nil).WithContext(other))
	if err != nil {
		t.Error(err)
	} else if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	cancel()
	close(client.letGo)
	<-done
}

// TestHintsWithoutEnd: more informational responses than a client is asked to take end
// the request.
func TestHintsWithoutEnd(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.WriteHeader(http.StatusEarlyHints)
		}
	})
	var events informed
	if _, err := c.Do(http2Request(t, "GET", nil), nil, &events); !errors.Is(err, roundtrip.ErrHeader) {
		t.Error(err)
	}
	if n := len(events.statuses); n > maxInformational {
		t.Errorf("the client got %d", n)
	}
}

// TestSwitchInHTTP2: status 101, which HTTP/2 doesn't have, doesn't reach a client.
func TestSwitchInHTTP2(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusSwitchingProtocols)
		<-r.Context().Done()
	})
	var events informed
	if _, err := c.Do(http2Request(t, "GET", nil), nil, &events); !errors.Is(err, roundtrip.ErrHeader) || len(events.statuses) > 0 {
		t.Errorf("%v, %v", err, events.statuses)
	}
}
