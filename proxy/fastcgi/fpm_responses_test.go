//go:build linux

package fastcgi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

func TestFPMResponses(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 2)
	for _, keep := range []int{0, 1} {
		f.tr.KeepAlive = keep
		for _, c := range []struct {
			method, query, body string
			code                int
			want                string
			header              http.Header
		}{
			{"GET", "", "", 200, "hello", http.Header{"Content-Type": {"text/html; charset=UTF-8"}}},
			{"HEAD", "", "", 200, "", http.Header{"Content-Type": {"text/html; charset=UTF-8"}}},
			{"HEAD", "do=length", "", 200, "", http.Header{"Content-Length": {"4"}}},
			{"HEAD", "do=download&mib=1", "", 200, "", nil},
			{"POST", "do=echo", "a body", 200, "a body", nil},
			{"PUT", "do=echo", "another", 200, "another", nil},
			{"POST", "do=echo", "", 200, "", nil},
			{"GET", "do=redirect", "", 302, "", http.Header{"Location": {"/elsewhere"}}},
			{"GET", "do=redirect301", "", 301, "", http.Header{"Location": {"https://example.org/"}}},
			{"GET", "do=status", "", 418, "short and stout", nil},
			{"GET", "do=httpstatus", "", 410, "", nil},
			{"GET", "do=code&code=201", "", 201, "coded", nil},
			{"GET", "do=code&code=204", "", 204, "", nil},
			{"GET", "do=code&code=304", "", 304, "", nil},
			{"GET", "do=code&code=500", "", 500, "coded", nil},
			{"GET", "do=code&code=599", "", 599, "coded", nil},
			{"GET", "do=cookies", "", 200, "[]", http.Header{"Set-Cookie": {"one=1", "two=a%20b%3B%20c"}}},
			{"GET", "do=length", "", 200, "text", http.Header{"Content-Length": {"4"}}},
			{"GET", "do=exit", "", 200, "some", nil},
			{"GET", "do=fatal", "", 500, "", nil},
		} {
			resp, got := f.do(t, c.method, c.query, c.body)
			if resp.StatusCode != c.code || got != c.want {
				t.Errorf("%s %s: %s, %q", c.method, c.query, resp.Status, got)
			}
			for k, v := range c.header {
				if !slices.Equal(resp.Header[k], v) {
					t.Errorf("%s %s: %s is %q", c.method, c.query, k, resp.Header[k])
				}
			}
		}
		for query, want := range map[string]error{"do=tooshort": io.ErrUnexpectedEOF, "do=headers": roundtrip.ErrHeader} {
			if _, _, err := roundTripAll(f.tr, f.request(t, "GET", query, "")); !errors.Is(err, want) {
				t.Errorf("%s: %v", query, err)
			}
		}
	}
}

func TestFPMParams(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	r := f.request(t, "POST", "do=env&x=a%20b", "abc")
	r.URL.Path = "/kit.php/one/two"
	r.Header = http.Header{
		"Content-Type": {"text/plain"}, "X-Custom": {"1", "2"}, "Cookie": {"a=1", "b=2"}, "Proxy": {"evil"}, "Remote_user": {"root"},
		"X-Long": {strings.Repeat("x", 60000)}, "X-Long-2": {strings.Repeat("y", 60000)}, "X-127": {strings.Repeat("z", 127)},
	}
	_, body, err := roundTripAll(f.tr, r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"SCRIPT_FILENAME": f.dir + "/kit.php", "SCRIPT_NAME": "/kit.php", "PATH_INFO": "/one/two", "PATH_TRANSLATED": f.dir + "/one/two",
		"PHP_SELF": "/kit.php/one/two", "DOCUMENT_ROOT": f.dir, "DOCUMENT_URI": "/kit.php/one/two", "REQUEST_URI": "/kit.php/one/two?do=env&x=a%20b",
		"QUERY_STRING": "do=env&x=a%20b", "REQUEST_METHOD": "POST", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "3", "SERVER_NAME": "example.org",
		"SERVER_PORT": "443", "SERVER_ADDR": "192.0.2.1", "REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "4711", "HTTPS": "on", "REQUEST_SCHEME": "https",
		"MEGAKI_SESSION": "00ff", "APP_ENV": "test", "HTTP_HOST": "example.org", "HTTP_X_CUSTOM": "1, 2", "HTTP_COOKIE": "a=1; b=2",
		"HTTP_X_LONG": strings.Repeat("x", 60000), "HTTP_X_LONG_2": strings.Repeat("y", 60000), "HTTP_X_127": strings.Repeat("z", 127),
		"HTTP_PROXY": nil, "HTTP_REMOTE_USER": nil, "HTTP_CONTENT_LENGTH": nil, "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1",
	} {
		if got[name] != want {
			t.Errorf("%s is %.80q, not %.80q", name, got[name], want)
		}
	}
	r = f.request(t, "GET", "do=cookies", "")
	r.Header = http.Header{"Cookie": {"a=1", "b=x%20y"}}
	if _, body, err := roundTripAll(f.tr, r); body != `{"a":"1","b":"x y"}` || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

func TestFPMForms(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	r := f.request(t, "POST", "do=form", "a=1&b=x+y")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, body, err := roundTripAll(f.tr, r); body != `{"post":{"a":"1","b":"x y"},"files":[]}` || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	file := strings.Repeat("data", 1<<20)
	r = f.request(t, "POST", "do=form", "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.bin\"\r\n\r\n"+file+"\r\n--b--\r\n")
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	if _, body, err := roundTripAll(f.tr, r); body != `{"post":[],"files":{"f":4194304}}` || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

func TestFPMLargeBodies(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 2)
	f.tr.KeepAlive = 1
	data := make([]byte, 20<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, n := range []int{1, smallBody, smallBody + 1, 65535, 65536, 1 << 20, len(data)} {
		_, got := f.do(t, "POST", "do=hash", string(data[:n]))
		if want := fmt.Sprintf("%d %x", n, sha256.Sum256(data[:n])); got != want {
			t.Errorf("%d bytes: %q, not %q", n, got, want)
		}
	}
	_, got := f.do(t, "POST", "do=echo", string(data))
	if !bytes.Equal([]byte(got), data) {
		t.Errorf("%d bytes came back wrong", len(got))
	}
	if _, got := f.do(t, "POST", "do=early", string(data)); len(got) != 4<<20 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestFPMDownloadStreams has little memory taken by a long response.
func TestFPMDownloadStreams(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := f.tr.RoundTrip(f.request(t, "GET", "do=download&mib=20", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 32<<10)
	hash, total := sha256.New(), 0
	for {
		n, err := resp.Body.Read(buf)
		hash.Write(buf[:n])
		total += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if want := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), 20<<16)); total != 20<<20 || !bytes.Equal(hash.Sum(nil), want[:]) {
		t.Errorf("%d bytes, or they are wrong", total)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestFPMErrorOutput(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 1)
	var got []string
	f.tr.Call = also(f.tr.Call, func(c *Call, _ *http.Request) { c.Stderr = func(line string) { got = append(got, line) } })
	if _, body := f.do(t, "GET", "do=log", ""); body != "before after" {
		t.Errorf("%q", body)
	}
	if all := strings.Join(got, "|"); !strings.Contains(all, "first line|second line") || !strings.Contains(all, "third") {
		t.Errorf("%q", got)
	}
	got = nil
	if resp, body := f.do(t, "GET", "do=fatal", ""); resp.StatusCode != 500 || body != "" {
		t.Errorf("%s, %q", resp.Status, body)
	}
	if all := strings.Join(got, "|"); !strings.Contains(all, "undefined_function") {
		t.Errorf("%q", got)
	}
}

func TestFPMConcurrency(t *testing.T) {
	fakeserver.NoLeaks(t)
	f := startFPM(t, 4)
	for _, keep := range []int{0, 3} {
		f.tr.KeepAlive = keep
		var all sync.WaitGroup
		for g := range 6 {
			all.Go(func() {
				for i := range 50 {
					n, body := fmt.Sprint(g, "-", i), strings.Repeat(string(rune('a'+g)), i*2000)
					_, got, err := roundTripAll(f.tr, f.request(t, "POST", "do=number&n="+n, body))
					if want := n + " " + body; got != want || err != nil {
						t.Errorf("%s: %.40q, %v", n, got, err)
					}
				}
			})
		}
		all.Wait()
	}
}
