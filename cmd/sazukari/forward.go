package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki"
	"mkd/megaki/httpclient"
)

const (
	maxClients     = 256              // connections of local programs at once
	bodyTimeout    = 5 * time.Minute  // to receive a request, and to send a response
	shutdownWithin = 10 * time.Second // requests in flight may take at the end
)

// forward is the command: a local HTTP server that sends its requests to a
// Megaki server.
type forward struct {
	server      serverFlags
	listen      string
	host        string
	sessionFile string
	connections int
	timeout     time.Duration
	verbose     bool

	log *log.Logger
}

func forwardCommand() *cobra.Command {
	var f forward
	cmd := &cobra.Command{
		Use:   "forward --server HOST:PORT --key FILE [flags]",
		Short: "Let browsers and other programs use a Megaki site over HTTP",
		Long: `Listen for HTTP on this machine, and send the requests to a Megaki server. So a
browser, curl, or any program that speaks HTTP can use a Megaki site as it is.

  sazukari forward --server megaki.example.org:6363 --key server.key.pub --host example.org
  curl http://127.0.0.1:8080/

--host is the site's host, which the server chooses the site by; without it, the
host is that of --server. Fields that name the site's address are translated:
redirects to it (Location), its cookies (Domain, Secure), and on the way there
Origin and Referer. The text of pages is not changed: a link in a page that
names the host leads there, and not here.

Who may use it: whoever can reach --listen. A request with another Host than that
of --listen gets 403, so that no page of the web can reach the site through a
name that it points to this machine (DNS rebinding).

What a message can't carry gets an error: a request or a response over
--max-message (413, 502), WebSockets and other upgrades (501). The server may be
restarted meanwhile. A request that may have reached it is never sent twice.

With --session the session is kept in a file, and resumed at the next start, which
saves the handshake. The file is a secret: whoever has it can act as this client.

SIGINT (Ctrl-C) or SIGTERM ends it after the requests in flight; again, at once.
'sazukari doctor' helps if nothing works.`,
		Args: cobra.NoArgs,
	}
	f.server.register(cmd, true)
	flags := cmd.Flags()
	flags.StringVarP(&f.listen, "listen", "l", "127.0.0.1:8080", "`host:port` to listen on; port 0 chooses one")
	flags.StringVar(&f.host, "host", "", "`host` of the site, with its port unless it is 443 (default: that of --server)")
	flags.StringVar(&f.sessionFile, "session", "", "`file` to keep the session in, and to resume it from")
	flags.IntVar(&f.connections, "connections", httpclient.DefaultMaxConns, "`number` of connections to the server at most; more requests wait")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "time for a request, from its head to the whole response")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print each request and each connection to the server on standard error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // the next signal ends the process
		return f.run(ctx, cmd.ErrOrStderr())
	}
	return cmd
}

func (f *forward) run(ctx context.Context, errOut io.Writer) error {
	f.log = log.New(errOut, "sazukari: ", 0)
	handler, err := f.forwarder(errOut)
	if err != nil {
		return err
	}
	defer handler.transport.CloseIdleConnections()
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	address := l.Addr().(*net.TCPAddr)
	if !address.IP.IsLoopback() {
		f.log.Printf("warning: other machines can reach %s, and use the site without a key", address)
	}
	f.log.Printf("http://%s/ is the site %s at %s; Ctrl-C ends it", address, handler.site, f.server.address)
	return f.serve(ctx, l, handler)
}

// forwarder checks the flags, and returns the handler.
func (f *forward) forwarder(errOut io.Writer) (*forwarder, error) {
	host, _, err := net.SplitHostPort(f.listen)
	switch {
	case err != nil:
		return nil, usage("--listen %q: want HOST:PORT", f.listen)
	case f.connections < 1:
		return nil, usage("--connections %d: want 1 or more", f.connections)
	case f.timeout <= 0:
		return nil, usage("--timeout %s: want more than 0", f.timeout)
	}
	site := hostOf(f.server.address)
	if f.host != "" {
		if site, err = checkHost("https", f.host); err != nil {
			return nil, usage("--host: %v", err)
		}
	}
	cfg, err := f.server.config(errOut)
	if err != nil {
		return nil, err
	}
	if f.sessionFile != "" {
		if cfg.Session, err = readSession(f.sessionFile); err != nil {
			return nil, err
		}
	}
	transport := &httpclient.Transport{Address: f.server.address, Config: *cfg, MaxConns: f.connections, OnConnect: f.connected}
	return &forwarder{site: site, listen: host, timeout: f.timeout, transport: transport, log: f.log, verbose: f.verbose}, nil
}

// connected keeps the session of a new connection. A file that can't be written
// costs the next start a handshake, and no request.
func (f *forward) connected(c *megaki.Conn) error {
	session := c.Session()
	if f.verbose {
		how := "a new session"
		if c.Resumed() {
			how = "the session is resumed"
		}
		f.log.Printf("connected to %s: %s; its token is %s", f.server.address, how, session.Token)
	}
	if f.sessionFile != "" {
		if err := writeSession(f.sessionFile, &session); err != nil {
			f.log.Printf("warning: %v", err)
		}
	}
	return nil
}

// serve serves until the context ends, and then until the requests in flight
// have their responses.
func (f *forward) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      f.timeout + bodyTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	if f.verbose {
		srv.ErrorLog = f.log
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(limitListener(l, maxClients)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.Background(), shutdownWithin)
	defer cancel()
	if err := srv.Shutdown(within); err != nil {
		srv.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("requests took longer than %s to end, and were cut off", shutdownWithin)
		}
		return err
	}
	return nil
}
