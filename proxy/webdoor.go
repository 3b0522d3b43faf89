package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"mkd/config"
	"mkd/proxy/httpmsg"
	"mkd/proxy/listen"
	"mkd/proxy/logs"
)

// webDoor is an HTTP or HTTPS listener.
type webDoor struct {
	name    string
	address string
	cfg     *config.Web
	tls     *tls.Config // nil: plain HTTP
	server  *http.Server
	gate    *gate
	logs    *logs.Logs

	stopping context.Context // ends when the door is to close
	stop     context.CancelFunc
	requests sync.WaitGroup // under way: the server doesn't wait for tunnels
}

// newWebDoor makes a door. secure is nil for plain HTTP.
func newWebDoor(name, address string, cfg *config.Web, secure *tls.Config, g *gate, logs *logs.Logs) *webDoor {
	d := &webDoor{name: name, address: address, cfg: cfg, tls: secure, gate: g, logs: logs}
	d.stopping, d.stop = context.WithCancel(context.Background())
	d.server = &http.Server{
		Handler:           http.HandlerFunc(d.serveHTTP),
		TLSConfig:         secure,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    int(cfg.MaxHeader),
		// The deadline of a stream doesn't end a write that the client's side of
		// the connection doesn't take.
		HTTP2:       &http.HTTP2Config{WriteByteTimeout: cfg.WriteTimeout},
		ErrorLog:    slog.NewLogLogger(logs.Peers(name).Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return g.base },
	}
	return d
}

func (d *webDoor) listen() (net.Listener, error) {
	return listen.Listen(listen.Options{
		Address:             d.address,
		MaxConnections:      d.cfg.MaxConnections,
		MaxConnectionsPerIP: d.cfg.MaxConnectionsPerIP,
		Exempt:              d.gate.trusted,
		ProxyProtocol:       networks(d.cfg.ProxyProtocol.From),
		Logger:              d.logs.Peers(d.name),
	})
}

func (d *webDoor) serve(l net.Listener) (err error) {
	if d.tls != nil {
		err = d.server.ServeTLS(l, "", "")
	} else {
		err = d.server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown ends tunnels at once: nobody can tell when they would end by
// themselves.
func (d *webDoor) shutdown(ctx context.Context) error {
	d.stop()
	err := d.server.Shutdown(ctx)
	if err != nil {
		d.server.Close()
	}
	d.requests.Wait()
	return err
}

// serveHTTP makes an exchange of a request, and hands it to the gate.
func (d *webDoor) serveHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	x := &exchange{
		listener: d.name,
		payload:  config.PayloadHTTP,
		secure:   d.tls != nil,
		started:  time.Now(),
		base:     d.gate.base,
		stopping: d.stopping,
	}
	x.peer, _ = netip.ParseAddrPort(r.RemoteAddr)
	x.peer = netip.AddrPortFrom(x.peer.Addr().Unmap(), x.peer.Port())
	x.client = x.peer
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		x.local, _ = netip.ParseAddrPort(a.String())
	}
	x.Context = r.Context()
	x.answer = &webAnswer{ResponseWriter: w, control: control, timeout: d.cfg.WriteTimeout, head: r.Method == http.MethodHead}
	if r.ProtoMajor == 2 {
		x.refused = tooManyFields(r.Header, d.cfg.MaxFields)
	}
	r = r.WithContext(x)
	if r.Body != http.NoBody && r.Body != nil && r.ContentLength != 0 {
		x.body = &body{ReadCloser: r.Body, control: control, timeout: d.cfg.BodyTimeout, rate: int64(d.cfg.MinRate)}
		r.Body = x.body
		if r.ProtoMajor == 1 { // an answer needn't wait for a body that isn't read to its end
			control.EnableFullDuplex()
		}
		// What is left of the body is read by the server afterwards, within this.
		defer func() {
			if !x.body.ended {
				control.SetReadDeadline(time.Now().Add(min(d.cfg.BodyTimeout, time.Second)))
			}
		}()
	} else {
		r.Body = nil
	}
	d.requests.Add(1)
	defer d.requests.Done()
	d.gate.ServeHTTP(x.answer, r)
}

// tooManyFields returns an error for a header with more than limit fields.
func tooManyFields(h http.Header, limit int) error {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	if n <= limit {
		return nil
	}
	return &httpmsg.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: fmt.Sprintf("the head has more than %d fields", limit)}
}

// webAnswer is an answer of an HTTP door.
type webAnswer struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration // how long the client may take no byte
	head    bool          // the answer has no body
	armed   time.Time     // when the deadline was set
	change  func(http.Header)
	status  int
	size    int64
}

var _ io.ReaderFrom = (*webAnswer)(nil)

// Status implements answer.
func (a *webAnswer) Status() int { return a.status }

// Size implements answer.
func (a *webAnswer) Size() int64 { return a.size }

// ChangeHeader implements answer.
func (a *webAnswer) ChangeHeader(f func(http.Header)) { a.change = f }

// Finish implements answer. The server writes the end after it.
func (a *webAnswer) Finish() error {
	a.armed = time.Time{}
	a.arm()
	return nil
}

// Reset implements answer: what was written has gone.
func (a *webAnswer) Reset() bool {
	if a.status != 0 {
		return false
	}
	clear(a.Header())
	return true
}

// WriteHeader implements http.ResponseWriter.
func (a *webAnswer) WriteHeader(status int) {
	a.arm()
	if status >= 200 || status == http.StatusSwitchingProtocols {
		if a.status != 0 {
			return
		}
		a.status = status
		if a.change != nil {
			a.change(a.Header())
		}
		if h := a.Header(); h["Content-Type"] == nil {
			h["Content-Type"] = nil // what it is, is left to the client
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *webAnswer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.arm()
	n, err := a.ResponseWriter.Write(p)
	if !a.head {
		a.size += int64(n)
	}
	return n, err
}

// FlushError is for http.ResponseController. Nothing is pending then, so time
// doesn't run.
func (a *webAnswer) FlushError() error {
	a.arm()
	err := a.control.Flush()
	a.armed = time.Time{}
	a.control.SetWriteDeadline(time.Time{})
	return err
}

// sendAtOnce is how much of a file is sent within one deadline, in bytes: a
// client may be as slow as that in a minute.
const sendAtOnce = 128 << 10

// ReadFrom lets the kernel send a file.
func (a *webAnswer) ReadFrom(r io.Reader) (total int64, err error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	for {
		a.arm()
		n, err := io.CopyN(a.ResponseWriter, r, sendAtOnce)
		a.size += n
		total += n
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// arm moves the deadline on. It isn't worth a timer for every piece.
func (a *webAnswer) arm() {
	if now := time.Now(); now.Sub(a.armed) > a.timeout/8 {
		a.armed = now
		a.control.SetWriteDeadline(now.Add(a.timeout + a.timeout/8))
	}
}

// Unwrap is for http.ResponseController.
func (a *webAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// redirectToHTTPS answers every request with its address at the HTTPS listener
// with a port.
func redirectToHTTPS(port int) func(x *exchange, r *http.Request) error {
	return func(x *exchange, r *http.Request) error {
		to := "https://{host}"
		if port != 443 {
			to += ":" + strconv.Itoa(port)
		}
		return redirect{to + "{uri}", http.StatusPermanentRedirect}.serve(x, x.answer, r)
	}
}
