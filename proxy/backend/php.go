package backend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"syscall"

	"mkd/config"
	"mkd/megaki"
	"mkd/php"
	"mkd/proxy/forward"
	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
	"mkd/share"
)

// phpBackend has a pool of PHP workers handle requests.
type phpBackend struct {
	pool       *php.Pool
	cancel     bool // a client that leaves ends its request
	showErrors bool // the client sees why the script failed
	findsLeaks bool
	cfg        *config.PHP
	log        *slog.Logger
	watch      *phpWatch   // nil: nothing is watched
	live       *liveReload // nil: pages aren't loaded anew
	spool      *forward.Spool
	public     *publicFiles      // nil: none
	sendFile   *forward.SendFile // nil: none
	forwarder  forward.Forwarder // to on_handle, for requests of HTTP listeners
}

func mostWorkers(b *config.Backend) int { return b.PHP.Workers.Max }

func newPHP(b *config.Backend, d Daemon) (Backend, error) {
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
		Dev:           c.Dev,
		DetectLeaks:   c.DetectLeaks,
		Logger:        d.Logger,
	})
	if err != nil {
		return nil, err
	}
	made := &phpBackend{pool: pool, cancel: c.Cancel, showErrors: c.DisplayErrors || c.Dev, findsLeaks: c.DetectLeaks, spool: d.Spool, sendFile: forward.NewSendFile(c.SendFile)}
	made.cfg, made.log = c, d.Logger
	if c.LiveReload {
		made.live = newLiveReload()
	}
	if made.public, err = newPublicFiles(c); err != nil {
		return nil, err
	}
	made.forwarder = forward.Forwarder{SendFile: made.sendFile, Logger: d.Logger}
	return made, nil
}

// Start implements Backend.
func (b *phpBackend) Start(ctx context.Context) (err error) {
	if err := b.pool.Start(ctx); err != nil {
		return b.explain(err)
	}
	b.watch, err = watchFiles(b, b.cfg)
	return err
}

// Shutdown implements Backend.
func (b *phpBackend) Shutdown(ctx context.Context) error {
	b.watch.close()
	b.sendFile.Close()
	b.public.close()
	return b.pool.Shutdown(ctx)
}

// Restart implements Restarter.
func (b *phpBackend) Restart(ctx context.Context) error { return b.explain(b.pool.Replace(ctx)) }

// explain returns a plainer error for workers that can't read their script.
func (b *phpBackend) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if why := explainUnreadable(b.cfg.User, b.cfg.Group, b.cfg.Script); why != nil {
		return why
	}
	return err
}

// FindsLeaks implements LeakFinder.
func (b *phpBackend) FindsLeaks() bool { return b.findsLeaks }

// Leaks implements LeakFinder.
func (b *phpBackend) Leaks() php.Leaks { return b.pool.Leaks() }

// Status implements Pooled.
func (b *phpBackend) Status() php.Status { return b.pool.Status() }

// Prepare implements request.Preparer.
func (b *phpBackend) Prepare(r *request.Request) {
	forward.SetClientCert(r)
	forward.SetRequestID(r)
}

// Serve implements request.Backend. A script with an on_http gets HTTP requests as
// such. Any other gets the message's bytes verbatim, and what it returns is the
// whole response.
func (b *phpBackend) Serve(w request.Response, r *request.Request) error {
	if b.live != nil {
		if served, err := b.live.serve(w, r); served {
			return err
		}
	}
	if b.public != nil {
		if served, err := b.public.serve(w, r); served {
			return err
		}
	}
	if err := b.watch.failure(); err != nil && b.cfg.Dev && !r.Raw {
		return b.respondFailure(w, err)
	}
	if !b.cancel {
		r.Detach()
	}
	return b.classify(b.serve(w, r))
}

func (b *phpBackend) serve(w request.Response, r *request.Request) error {
	if !r.Raw && b.pool.TakesHTTP() {
		return b.serveHTTP(w, r)
	}
	if message, ok := w.(request.Message); ok {
		return b.do(r.Context(), r, b.messageCall(r), message.Verbatim())
	}
	return b.forwarder.Forward(w, r, messageOrigin{b})
}

// respondFailure responds with why the changed script doesn't load, for development.
func (b *phpBackend) respondFailure(w request.Response, err error) error {
	page := "<!DOCTYPE html><title>the script doesn't load</title><h1>The changed script doesn't load</h1><pre>" + html.EscapeString(err.Error()) + "</pre>\n"
	if b.live != nil {
		page += b.live.script()
	}
	w.Header()["Content-Type"] = []string{"text/html; charset=utf-8"}
	w.WriteHeader(http.StatusInternalServerError)
	_, err = io.WriteString(w, page)
	return err
}

// classify gives an error of package php its kind.
func (b *phpBackend) classify(err error) error {
	if err == nil {
		return nil
	}
	var (
		script *php.ScriptError
		form   *php.FormError
		e      = &request.Error{Err: err}
	)
	switch {
	case errors.As(err, &form):
		e.Kind, e.Hint = request.BadRequest, form.Error()
		switch form.Status {
		case http.StatusRequestEntityTooLarge:
			e.Kind = request.TooLarge
		case http.StatusInsufficientStorage:
			e.Kind = request.DiskFull
		}
	case errors.As(err, &script):
		e.Kind = request.Failed
		if b.showErrors {
			e.Hint = script.Message
		}
	case errors.Is(err, php.ErrQueueFull), errors.Is(err, php.ErrQueueTimeout), errors.Is(err, php.ErrClosed):
		e.Kind = request.Busy
	case errors.Is(err, php.ErrTimeout):
		e.Kind = request.TimedOut
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT): // an upload that was being received
		e.Kind = request.DiskFull
	default:
		return err
	}
	return e
}

// serveHTTP has on_http respond. A worker isn't taken before the body has been
// received, and not held until the client has read the response.
func (b *phpBackend) serveHTTP(w request.Response, r *request.Request) error {
	if php.IsForm(r.Request) { // the pool receives forms by itself, their files apart
		r.SetTimeout(0)
		r.Body = &formBody{r.Body, r}
	} else {
		body, err := b.spool.Receive(r)
		if err != nil {
			return err
		}
		defer body.Close()
		r.StartTimeout() // it is for the script
	}
	c := &php.HTTPCall{
		Request:    r.Request,
		Prefix:     r.Prefix,
		ClientAddr: r.Client,
		ServerAddr: r.Local,
		HTTPS:      r.Secure,
		Key:        r.Key,
		Route:      r.Record.Route,
		RequestID:  r.ID(),
		Client:     share.Network(r.Counted()),
		RequestURI: r.AskedURI(),
	}
	if r.Session != nil {
		c.Session = *r.Session
	}
	to := &phpResponse{w: w, r: r, sendFile: b.sendFile, live: b.live}
	if !request.IsMessage(w) {
		to.relay = forward.NewRelay(w, r, b.spool)
	}
	err := b.pool.DoHTTP(r.Context(), c, to)
	r.Record.Worker = c.Worker
	return to.finish(err)
}

// formBody is the body of a form. The route's timeout starts at its end.
type formBody struct {
	io.ReadCloser
	r *request.Request
}

func (f *formBody) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		f.r.StartTimeout()
	}
	return n, err
}

// do sends a call, and records who had it.
func (b *phpBackend) do(ctx context.Context, r *request.Request, c *php.Call, w io.Writer) error {
	err := b.pool.Do(ctx, c, w)
	r.Record.Worker = c.Worker
	return err
}

// call makes a call of a message.
func (b *phpBackend) call(r *request.Request, message []byte) *php.Call {
	c := &php.Call{ClientAddr: r.Client, Route: r.Record.Route, RequestID: r.ID(), Client: share.Network(r.Counted()), Body: message}
	if !r.Raw {
		c.Method, c.Path = r.Method, r.Path
	}
	if r.Session != nil {
		c.Session = *r.Session
	}
	return c
}

// messageCall makes a call of the message that a request came in. What the route has changed
// in it, or removed, must not be in what the script gets.
func (b *phpBackend) messageCall(r *request.Request) *php.Call {
	if r.Raw || !r.Changed {
		return b.call(r, r.Message)
	}
	call := b.call(r, headOf(r.Request))
	if r.Body != nil {
		call.More = r.Body
	}
	return call
}

// maxVerbatim is how many bytes the response of an on_handle to a request of an
// HTTP listener may have.
const maxVerbatim = 16 << 20

// messageOrigin lets an on_handle respond to a request of an HTTP listener, which
// it gets as one message, framed anew.
type messageOrigin struct{ *phpBackend }

// Send implements forward.Origin.
func (b messageOrigin) Send(r *request.Request, out *http.Request, header http.Header, _ roundtrip.Events) (*http.Response, error) {
	body, err := b.spool.Receive(r)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	r.StartTimeout() // it is for the script
	call := b.call(r, headOf(out))
	if out.Body != nil {
		call.More = out.Body
	}
	message := b.spool.Keep(r)
	err = b.do(out.Context(), r, call, &limitedWriter{w: message, limit: maxVerbatim})
	if err != nil {
		message.Close()
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(message.Reader()), out)
	if err != nil {
		message.Close()
		return nil, fmt.Errorf("the script's response isn't an HTTP response: %w", err)
	}
	maps.Copy(header, resp.Header)
	resp.Header, resp.Body = header, struct {
		io.Reader
		io.Closer
	}{resp.Body, message}
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

// limitedWriter takes so many bytes.
type limitedWriter struct {
	w           io.Writer
	size, limit int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if size := l.size + len(p); size > l.limit {
		return 0, &megaki.TooLongError{Length: int64(size), Limit: l.limit}
	}
	n, err := l.w.Write(p)
	l.size += n
	return n, err
}
