package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// watchedBody records whether it was closed.
type watchedBody struct {
	io.Reader
	closed atomic.Int32
}

func (b *watchedBody) Close() error {
	b.closed.Add(1)
	return nil
}

func requestWith(t *testing.T, body io.Reader, length int64) (*http.Request, *watchedBody) {
	b := &watchedBody{Reader: body}
	r := newRequest(t, "POST", "")
	r.Body, r.ContentLength = b, length
	return r, b
}

// TestBodies sends bodies of every kind of length, read in every way.
func TestBodies(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		for {
			r, err := f.readRequest()
			if err != nil {
				return
			}
			f.say(stdout(okHeader+fmt.Sprintf("%s %d %t", r.get("CONTENT_LENGTH"), len(r.body), strings.Trim(r.body, "x") == "")), end(0))
		}
	})
	for _, keep := range []int{0, 1} {
		tr.KeepAlive = keep
		for _, n := range []int{0, 1, smallBody - 1, smallBody, smallBody + 1, chunkContent, chunkContent + 1, 2 * chunkContent, 3*chunkContent + 7, 1 << 20} {
			for name, wrap := range map[string]func(io.Reader) io.Reader{
				"plain":  func(r io.Reader) io.Reader { return r },
				"halves": iotest.HalfReader,
				"eof":    iotest.DataErrReader,
			} {
				r, b := requestWith(t, wrap(strings.NewReader(strings.Repeat("x", n))), int64(n))
				_, got, err := roundTripAll(tr, r)
				if want := fmt.Sprintf("%d %d true", n, n); got != want || err != nil {
					t.Errorf("%d, %s: %q, %v", n, name, got, err)
				}
				if b.closed.Load() == 0 {
					t.Errorf("%d, %s: the body isn't closed", n, name)
				}
			}
		}
	}
}

// TestBodiesThatFail never shows the server a whole body.
func TestBodiesThatFail(t *testing.T) {
	fakeserver.NoLeaks(t)
	broken := errors.New("the disk is broken")
	for _, n := range []int64{0, 10, 40000, 1 << 20} {
		xs := func(n int64) io.Reader { return strings.NewReader(strings.Repeat("x", max(0, int(n)))) }
		for _, c := range []struct {
			name string
			body io.Reader
			want error
		}{
			{"short", xs(n - 1), io.ErrUnexpectedEOF},
			{"empty", xs(0), io.ErrUnexpectedEOF},
			{"long", xs(n + 1), roundtrip.ErrBody},
			{"very long", xs(2*n + 5), roundtrip.ErrBody},
			{"fails at once", iotest.ErrReader(broken), broken},
			{"fails in the middle", io.MultiReader(xs(n/2), iotest.ErrReader(broken)), broken},
			{"fails at the end", io.MultiReader(xs(n), iotest.ErrReader(broken)), broken},
		} {
			if n == 0 && errors.Is(c.want, io.ErrUnexpectedEOF) {
				continue
			}
			t.Run(fmt.Sprint(n, " ", c.name), func(t *testing.T) {
				met := make(chan error, 1)
				tr, s := serve(t, func(f *fakeConn) {
					r, err := f.readRequest()
					if err == nil || int64(len(r.body)) >= n {
						err = fmt.Errorf("it got a body of %d bytes, %v", len(r.body), err)
					} else {
						err = nil
					}
					met <- err
				})
				r, b := requestWith(t, c.body, n)
				_, _, err := roundTripAll(tr, r)
				if !errors.Is(err, roundtrip.ErrBody) || !errors.Is(err, c.want) {
					t.Errorf("error %v", err)
				}
				if b.closed.Load() == 0 {
					t.Error("the body isn't closed")
				}
				if n <= smallBody {
					if e := failure(t, err); e.Sent || s.Connections() != 0 {
						t.Errorf("%+v, %d connections", e, s.Connections())
					}
					return
				}
				if err := <-met; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestRequestsThatCantBeSent(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, s := serve(t, responding(end(0)))
	broken := errors.New("no such script")
	for _, c := range []struct {
		name   string
		length int64
		call   func(*http.Request) *Call
		want   error
	}{
		{"unknown length", -1, with(simpleParams), ErrLengthRequired},
		{"parameters fail", 4, with(func(*Params, *http.Request) error { return broken }), broken},
		{"a pair too long", 4, withList(Param{"CONTENT_LENGTH", "4"}, Param{"X", strings.Repeat("x", 70000)}), ErrParam},
		{"another length", 4, withList(Param{"CONTENT_LENGTH", "5"}), ErrParam},
		{"a length in other words", 4, withList(Param{"CONTENT_LENGTH", "04"}), ErrParam},
		{"not a length", 4, withList(Param{"CONTENT_LENGTH", "four"}), ErrParam},
		{"no length", 4, withList(Param{"A", "b"}), ErrParam},
	} {
		tr.Call = c.call
		r, b := requestWith(t, strings.NewReader("body"), c.length)
		_, err := tr.RoundTrip(r)
		if e := failure(t, err); !errors.Is(err, c.want) || e.Sent || e.Responded {
			t.Errorf("%s: %+v", c.name, e)
		}
		if b.closed.Load() == 0 {
			t.Errorf("%s: the body isn't closed", c.name)
		}
	}
	tr.Call = func(*http.Request) *Call { return new(Call) }
	if _, err := tr.RoundTrip(newRequest(t, "GET", "")); err == nil {
		t.Error("no Params, and no error")
	}
	if s.Connections() != 0 {
		t.Errorf("%d connections", s.Connections())
	}
}

// TestEarlyResponse has a server response at length before it reads the body: both
// would wait for ever, if only one thing were done at a time.
func TestEarlyResponse(t *testing.T) {
	fakeserver.NoLeaks(t)
	part := stdout(strings.Repeat("y", 60000))
	for _, c := range []struct {
		name  string
		reads bool // the body, after the response
		ends  string
		want  error
	}{
		{"reads it later", true, end(0), nil},
		{"never reads it", false, end(0), nil},
		{"dies", false, "", io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, _ := serve(t, func(f *fakeConn) {
				if _, err := f.readHead(); err != nil {
					t.Error(err)
				}
				f.say(stdout(okHeader))
				for range 100 {
					f.say(part)
				}
				if c.reads {
					if b, err := f.readBody(); len(b) != 8<<20 || err != nil {
						t.Errorf("a body of %d bytes, %v", len(b), err)
					}
				}
				f.say(c.ends)
			})
			tr.KeepAlive = 1
			r, b := requestWith(t, strings.NewReader(strings.Repeat("x", 8<<20)), 8<<20)
			_, body, err := roundTripAll(tr, r)
			if len(body) != 100*60000 || !errors.Is(err, c.want) {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			if b.closed.Load() == 0 {
				t.Error("the body isn't closed")
			}
			if !c.reads && idle(tr) != 0 {
				t.Error("the connection is kept, and is full of what nobody read")
			}
		})
	}
}

// TestEarlyResponseToASmallRequest has parameters that the server's socket can't
// hold, to be written in the background.
func TestEarlyResponseToASmallRequest(t *testing.T) {
	fakeserver.NoLeaks(t)
	params := []Param{{"CONTENT_LENGTH", "4"}}
	for range 100 {
		params = append(params, Param{"X", strings.Repeat("x", 60000)})
	}
	responded := make(chan struct{})
	tr, _ := serve(t, func(f *fakeConn) {
		f.say(stdout(okHeader + "early"))
		<-responded
		if r, err := f.readRequest(); err != nil || len(r.params) != len(params) || r.body != "body" {
			t.Errorf("%v", err)
		}
		f.say(stdout(" and late"), end(0))
	})
	tr.Call = withList(params...)
	resp, err := tr.RoundTrip(newRequest(t, "POST", "body"))
	if err != nil {
		t.Fatal(err)
	}
	close(responded)
	if b, err := io.ReadAll(resp.Body); string(b) != "early and late" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	resp.Body.Close()
}

// TestSlowUpload takes longer than the timeout, but never stands still.
func TestSlowUpload(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		if _, err := f.readHead(); err != nil {
			t.Error(err)
		}
		for n := 0; ; n++ {
			_, content, err := f.readRecord()
			if err != nil || content == "" {
				break
			}
			time.Sleep(20 * time.Millisecond) // this server's pace
		}
		f.say(stdout(okHeader), end(0))
	})
	tr.ResponseTimeout = 300 * time.Millisecond
	const size = 40 * chunkContent
	start := time.Now()
	r, _ := requestWith(t, strings.NewReader(strings.Repeat("x", size)), size)
	if _, _, err := roundTripAll(tr, r); err != nil || time.Since(start) < 2*tr.ResponseTimeout {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestBodyThatBlocks is a body whose Read returns only when it is closed.
func TestBodyThatBlocks(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.readHead()
		f.say(stdout(okHeader+"text"), end(0))
	})
	pr, pw := io.Pipe()
	defer pw.Close()
	r := newRequest(t, "POST", "")
	r.Body, r.ContentLength = pr, 1<<20
	if _, body, err := roundTripAll(tr, r); body != "text" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}
