package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"mkd/config"
	"mkd/megaki"
	"mkd/php"
	"mkd/proxy/logs"
	"mkd/share"
)

// phpBackend has a pool of PHP workers answer messages.
type phpBackend struct {
	pool       *php.Pool
	cancel     bool // a client that goes away ends its request
	showErrors bool // a client sees what went wrong in the script
	spool      *spool
	sendFile   *sendFile // nil: none
	forwarder  forwarder // to on_handle, for requests of HTTP doors
}

func newPHPBackend(b *config.Backend, sp *spool, logs *logs.Logs) (*phpBackend, error) {
	c := b.PHP
	queue := c.Queue
	if queue == 0 {
		queue = -1 // in package php 0 is the default
	}
	pool, err := php.NewPool(php.Options{
		Script:        c.Script,
		PHP:           c.PHP,
		Dir:           c.Dir,
		User:          c.User,
		Group:         c.Group,
		Env:           c.Env,
		Ini:           c.Ini,
		ClearEnv:      !c.InheritEnv,
		Sandbox:       c.Sandbox,
		MinWorkers:    c.Workers.Min,
		MaxWorkers:    c.Workers.Max,
		Queue:         queue,
		QueueTimeout:  c.QueueTimeout,
		Timeout:       c.Timeout,
		BootTimeout:   c.BootTimeout,
		IdleTimeout:   c.IdleTimeout,
		MaxRequests:   c.MaxRequests,
		MaxAge:        c.MaxAge,
		MemoryLimit:   int64(c.MemoryLimit),
		MemoryCeiling: int64(c.MemoryCeiling),
		UploadDir:     c.Uploads.Dir,
		MaxUploads:    c.Uploads.MaxFiles,
		MaxUploadSize: int64(c.Uploads.MaxSize),
		UploadTotal:   int64(c.Uploads.MaxTotal),
		Logger:        logs.Backend(b.Name),
	})
	if err != nil {
		return nil, err
	}
	made := &phpBackend{pool: pool, cancel: c.Cancel, showErrors: c.DisplayErrors, spool: sp, sendFile: newSendFile(c.SendFile)}
	made.forwarder = forwarder{origin: messageOrigin{made}, instead: made.sendFile.intercept}
	return made, nil
}

func (b *phpBackend) start(ctx context.Context) error { return b.pool.Start(ctx) }

func (b *phpBackend) shutdown(ctx context.Context) error {
	b.sendFile.close()
	return b.pool.Shutdown(ctx)
}

// serve gives a script a request. One with an on_http gets HTTP requests as
// such. Any other gets the message's bytes verbatim, and what it returns is the
// whole answer.
func (b *phpBackend) serve(x *exchange, w http.ResponseWriter, r *http.Request) error {
	if !b.cancel {
		x.detach()
	}
	err := b.answer(x, w, r)
	if script := (*php.ScriptError)(nil); b.showErrors && errors.As(err, &script) {
		return &shownError{script}
	}
	return err
}

func (b *phpBackend) answer(x *exchange, w http.ResponseWriter, r *http.Request) error {
	switch {
	case x.payload == config.PayloadHTTP && b.pool.TakesHTTP():
		return b.serveHTTP(x, w, r)
	case x.message == nil:
		return b.forwarder.forward(x, w, r)
	}
	return b.pool.Do(x, b.call(x, x.message.Body), x.answer.(*messageAnswer).verbatim())
}

// serveHTTP has on_http answer. A worker isn't taken before the body is here,
// and not held until the client has taken the answer.
func (b *phpBackend) serveHTTP(x *exchange, w http.ResponseWriter, r *http.Request) error {
	if php.IsForm(r) { // the pool receives forms by itself, their files apart
		x.setTimeout(0)
		r.Body = &formBody{r.Body, x}
	} else {
		body, err := b.spool.receive(r)
		if err != nil {
			return err
		}
		defer body.Close()
		x.startTimeout() // it is for the script
	}
	c := &php.HTTPCall{
		Request:    r,
		RequestURI: x.requestURI(r),
		Prefix:     x.prefix,
		ClientAddr: x.client,
		ServerAddr: x.local,
		HTTPS:      x.secure,
		Route:      x.route.name,
		Client:     queueClient(x),
	}
	if x.session != nil {
		c.Session = *x.session
	}
	to := &phpResponse{x: x, w: w, r: r, sendFile: b.sendFile}
	if x.message == nil {
		to.relay = newRelay(w, b.spool)
	}
	return to.finish(b.pool.DoHTTP(x, c, to))
}

// formBody is the body of a form. At its end the time of the route begins.
type formBody struct {
	io.ReadCloser
	x *exchange
}

func (f *formBody) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		f.x.startTimeout()
	}
	return n, err
}

// shownError is a script's error that its client may see.
type shownError struct{ *php.ScriptError }

func (e *shownError) Unwrap() error { return e.ScriptError }

// queueClient returns the client whose turn a request waits for in the queue. The
// requests of a client that is exempt count as those of different clients.
func queueClient(x *exchange) netip.Prefix {
	if x.exempt {
		return netip.Prefix{}
	}
	return share.Network(x.client.Addr())
}

// call makes a call of a message.
func (b *phpBackend) call(x *exchange, message []byte) *php.Call {
	c := &php.Call{ClientAddr: x.client, Route: x.route.name, Client: queueClient(x), Body: message}
	if x.session != nil {
		c.Session = *x.session
	}
	return c
}

// maxVerbatim is how many bytes the answer of an on_handle to a request of an
// HTTP door may have.
const maxVerbatim = 16 << 20

// messageOrigin has an on_handle answer a request that came by an HTTP door: it
// gets it as one message, framed anew.
type messageOrigin struct{ *phpBackend }

// RoundTrip implements http.RoundTripper.
func (b messageOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	body, err := b.spool.receive(r)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	x.startTimeout() // it is for the script
	call := b.call(x, headOf(r))
	if r.Body != nil {
		call.More = r.Body
	}
	out := &limitedBuffer{limit: maxVerbatim}
	if err := b.pool.Do(x, call, out); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(&out.Buffer), r)
	if err != nil {
		return nil, fmt.Errorf("the script's answer isn't an HTTP response: %w", err)
	}
	return resp, nil
}

// headOf returns the head of a request as the bytes of HTTP/1.1.
func headOf(r *http.Request) []byte {
	var m bytes.Buffer
	fmt.Fprintf(&m, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Host)
	r.Header.WriteSubset(&m, map[string]bool{"Content-Length": true})
	if r.Body != nil {
		fmt.Fprintf(&m, "Content-Length: %d\r\n", r.ContentLength)
	}
	m.WriteString("\r\n")
	return m.Bytes()
}

// limitedBuffer is a buffer that takes so many bytes.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, &megaki.TooLongError{Length: int64(b.Len() + len(p)), Limit: b.limit}
	}
	return b.Buffer.Write(p)
}
