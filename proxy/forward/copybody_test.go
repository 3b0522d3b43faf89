package forward

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestPartsAreFlushed: each part of a body is flushed before the next one exists, within
// flushInterval if the length of the body is known.
func TestPartsAreFlushed(t *testing.T) {
	for _, c := range []struct {
		name string
		resp http.Response
		wait time.Duration
	}{
		{"of a known length", http.Response{ContentLength: 6}, flushInterval},
		{"of an unknown length", http.Response{ContentLength: -1}, 0},
		{"events", http.Response{ContentLength: 6, Header: http.Header{"Content-Type": {"text/event-stream"}}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var written, flushed bytes.Buffer
				body, server := io.Pipe()
				c.resp.Body = body
				done := make(chan error, 1)
				flushes := 0
				go func() {
					done <- copyBody(&written, body, flushingOf(&c.resp), func() error {
						flushes++
						_, err := written.WriteTo(&flushed)
						return err
					})
				}()
				time.Sleep(c.wait)
				synctest.Wait()
				if flushes != 1 {
					t.Errorf("the header was flushed %d times before a part came", flushes)
				}
				for _, want := range []string{"abc", "abcdef"} {
					io.WriteString(server, want[len(want)-3:])
					time.Sleep(c.wait)
					synctest.Wait()
					if got := flushed.String(); got != want {
						t.Errorf("%q reached the client after %v, not %q", got, c.wait, want)
					}
				}
				server.Close()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
