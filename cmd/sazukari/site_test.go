package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mkd/megaki"
	"mkd/proxy/httpmsg"
)

// site is a Megaki server whose responses a test decides. There is one for all
// tests, and one session with it, since handshakes take a while.
type site struct {
	dir     string
	address string
	respond atomic.Pointer[func(msg []byte) ([]byte, error)]
	server  *megaki.Server
}

var startSite = sync.OnceValues(func() (*site, error) {
	dir, err := os.MkdirTemp("", "sazukari-test-")
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir}
	if err := megaki.CreateKeyFiles(s.file("server.key")); err != nil {
		return s, err
	}
	pem, err := os.ReadFile(s.file("server.key"))
	if err != nil {
		return s, err
	}
	key, err := megaki.ParsePrivateKey(pem, nil)
	if err != nil {
		return s, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.address = l.Addr().String()
	s.server = &megaki.Server{Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
		response, err := (*s.respond.Load())(r.Body)
		w.Write(response)
		return err
	})}
	s.server.Keys = append(s.server.Keys, key)
	go s.server.Serve(l)
	return s, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if s, _ := startSite(); s != nil {
		if s.server != nil {
			s.server.Close()
		}
		os.RemoveAll(s.dir)
	}
	os.Exit(code)
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

// raw sets the function that makes the site's responses.
func raw(t *testing.T, respond func(msg []byte) ([]byte, error)) *site {
	t.Helper()
	s, err := startSite()
	if err != nil {
		t.Fatal(err)
	}
	s.respond.Store(&respond)
	return s
}

// serve makes an HTTP server of the site.
func serve(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	return raw(t, func(msg []byte) ([]byte, error) {
		r, err := httpmsg.ParseRequest(msg, httpmsg.Limits{})
		if err != nil {
			t.Errorf("%v: %q", err, msg)
			return nil, err
		}
		rec := httptest.NewRecorder()
		h(rec, r)
		var out bytes.Buffer
		fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", rec.Code, http.StatusText(rec.Code))
		rec.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
		rec.Header().Write(&out)
		out.WriteString("\r\n")
		if r.Method != http.MethodHead {
			out.Write(rec.Body.Bytes())
		}
		return out.Bytes(), nil
	})
}

// result is what a command printed, and its exit code.
type result struct {
	out, log string
	code     int
}

func command(stdin string, args ...string) result {
	var out, log bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &log)
	return result{out.String(), log.String(), code}
}

// get runs the command against the site.
func (s *site) get(args ...string) result { return s.getWith("", args...) }

func (s *site) getWith(stdin string, args ...string) result {
	return command(stdin, append([]string{"get", "--server", s.address, "--key", s.file("server.key.pub"), "--session", s.file("session")}, args...)...)
}

var errGone = errors.New("gone")
