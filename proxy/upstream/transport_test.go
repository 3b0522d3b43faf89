package upstream

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestQuick(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %d", r.Method, r.URL, len(b))
		}))
		tr := &Transport{Address: s.Listener.Addr().String()}
		if secure {
			s.StartTLS()
			tr.TLS = &tls.Config{InsecureSkipVerify: true}
		} else {
			s.Start()
		}
		n := 0
		for i := range 20 {
			var body io.Reader
			if i > 0 {
				body = bytes.NewReader(make([]byte, i*i*1000))
			}
			if i == 15 {
				body = io.MultiReader(body)
			}
			r, _ := http.NewRequest("POST", "http://x/y?z", body)
			resp, err := tr.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil || !strings.HasSuffix(string(b), fmt.Sprint(" ", i*i*1000)) {
				t.Error(i, string(b), err)
			}
			tr.mu.Lock()
			n += len(tr.idle)
			tr.mu.Unlock()
		}
		t.Log(secure, n, tr.Active())
		tr.CloseIdleConnections()
		s.Close()
	}
}
