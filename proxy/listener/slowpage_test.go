package listener

import (
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// slowStream is a response of which a client takes 1 KiB in each second.
type slowStream struct {
	header http.Header
	until  time.Time
	size   int
}

func (s *slowStream) Header() http.Header                { return s.header }
func (s *slowStream) WriteHeader(int)                    {}
func (s *slowStream) SetWriteDeadline(t time.Time) error { s.until = t; return nil }

func (s *slowStream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		time.Sleep(time.Second)
		if !s.until.IsZero() && !time.Now().Before(s.until) {
			return n, os.ErrDeadlineExceeded
		}
		more := min(len(p)-n, 1<<10)
		n, s.size = n+more, s.size+more
	}
	return n, nil
}

// TestSlowReaderOfAPage: a page that was written in one piece had to be taken within one
// write_timeout.
func TestSlowReaderOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStream{header: make(http.Header)}
		w := &http2Response{ResponseWriter: s, control: http.NewResponseController(s), timeout: time.Minute}
		page := make([]byte, 300_000)
		if n, err := w.Write(page); n != len(page) || err != nil || s.size != len(page) || w.Size() != int64(len(page)) {
			t.Errorf("%d bytes of %d, %v", n, len(page), err)
		}
		if n, err := w.Write(nil); n != 0 || err != nil {
			t.Errorf("nothing: %d, %v", n, err)
		}
	})
}
