package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

// doctor is the command: it tries what a client needs, step by step.
type doctor struct {
	server  serverFlags
	host    string
	path    string
	message string
	timeout time.Duration

	out, log io.Writer
	cfg      *megaki.Config
	conn     net.Conn // of the TCP step
	resumed  *megaki.Conn
	response []byte
}

// finding is the result of a step.
type finding struct {
	text   string
	err    error
	advice string // of an error, or of what may be so on purpose
}

func doctorCommand() *cobra.Command {
	var d doctor
	cmd := &cobra.Command{
		Use:   "doctor --server HOST:PORT --key FILE [flags]",
		Short: "Find out why a server can't be used",
		Long: `Try, one after the other, what a client needs, and print what works, and what to
do about what doesn't:

  key         the file has a public key that a client can pin
  TCP         something listens at --server
  handshake   it has the private key, and begins a session
  resumption  it resumes the session on a second connection
  message     it responds to a message
  HTTP route  the response is HTTP, and a site responds to --host and --path
  limits      how long a message may be

The message is an HTTP request, GET --path; the step limits sends it again with a
body of zeros, as long as --max-message allows, and shorter ones if the server
doesn't take that. For servers of other messages --message gives one that does no
harm; then the last two steps are left out.

The exit code is 1 if a step fails.`,
		Args: cobra.NoArgs,
	}
	d.server.register(cmd, true)
	f := cmd.Flags()
	f.StringVar(&d.host, "host", "", "`host` of the site, with its port unless it is 443 (default: that of --server)")
	f.StringVar(&d.path, "path", "/", "`path` of a page")
	f.StringVar(&d.message, "message", "", "`text` of a message to send in the place of an HTTP request")
	f.DurationVar(&d.timeout, "timeout", 10*time.Second, "time for a step")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d.out, d.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return d.run(cmp.Or(cmd.Context(), context.Background()))
	}
	return cmd
}

// run runs the steps. When one fails, those that need it are left out.
func (d *doctor) run(ctx context.Context) error {
	if d.timeout <= 0 {
		return usage("--timeout %s: want more than 0", d.timeout)
	}
	request, err := d.request(0)
	if err != nil {
		return usageError{err}
	}
	defer d.close()
	failed := ""
	for _, step := range []struct {
		name string
		run  func(ctx context.Context) finding
	}{
		{"key", func(context.Context) finding { return d.key() }},
		{"TCP", d.tcp},
		{"handshake", d.handshake},
		{"resumption", d.resumption},
		{"message", func(ctx context.Context) finding { return d.send(ctx, request) }},
		{"HTTP route", func(context.Context) finding { return d.route() }},
		{"limits", d.limits},
	} {
		switch {
		case d.message != "" && (step.name == "HTTP route" || step.name == "limits"):
			fmt.Fprintf(d.out, "-     %-10s  not tried, because of --message\n", step.name)
			continue
		case failed != "":
			fmt.Fprintf(d.out, "-     %-10s  not tried\n", step.name)
			continue
		}
		within, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("it took longer than --timeout, %s", d.timeout))
		found := step.run(within)
		cancel()
		if found.err != nil {
			failed = step.name
			fmt.Fprintf(d.out, "FAIL  %-10s  %v\n", step.name, found.err)
		} else {
			fmt.Fprintf(d.out, "ok    %-10s  %s\n", step.name, found.text)
		}
		if found.advice != "" {
			fmt.Fprintf(d.out, "%18s%s\n", "", strings.ReplaceAll(found.advice, "\n", "\n"+strings.Repeat(" ", 18)))
		}
	}
	if failed != "" {
		return fmt.Errorf("%s: the step %s failed", d.server.address, failed)
	}
	return nil
}

func (d *doctor) close() {
	if d.conn != nil {
		d.conn.Close()
	}
	if d.resumed != nil {
		d.resumed.Close()
	}
}

// request returns the message of the step message, with a body of n bytes.
func (d *doctor) request(n int) ([]byte, error) {
	if d.message != "" {
		return []byte(d.message), nil
	}
	if !strings.HasPrefix(d.path, "/") {
		return nil, fmt.Errorf("--path %q: want a path, which begins with a slash", d.path)
	}
	target, err := parseTarget(d.path, d.server.address, false)
	if err != nil {
		return nil, fmt.Errorf("--path %w", err)
	}
	if d.host != "" {
		if target.host, err = checkHost("https", d.host); err != nil {
			return nil, fmt.Errorf("--host: %w", err)
		}
	}
	d.host = target.host
	r := request{target: target, method: http.MethodGet, body: make([]byte, n), hasBody: n > 0}
	message, _ := r.message()
	return message, nil
}

func (d *doctor) key() finding {
	var err error
	if d.cfg, err = d.server.config(d.log); err != nil {
		return finding{err: err, advice: "Get server.key.pub from whoever runs the server; 'mkd keygen' makes it together with the private key."}
	}
	// The client's own, made here: slow machines take seconds, and servers wait
	// for a handshake only so long.
	if d.cfg.ClientKey, err = megaki.GenerateKey(); err != nil {
		return finding{err: err}
	}
	pinned, err := megaki.PinnedKey(d.cfg.ServerKey)
	if err != nil {
		return finding{err: err}
	}
	return finding{text: fmt.Sprintf("RSA-2048; its 260 bytes have the SHA-256 %x", sha256.Sum256(pinned)),
		advice: "Compare it on the server: sha256sum server.key.cert"}
}

func (d *doctor) tcp(ctx context.Context) (f finding) {
	start := time.Now()
	if d.conn, f.err = d.dial(ctx); f.err == nil {
		f.text = fmt.Sprintf("connected to %s in %s", d.conn.RemoteAddr(), since(start))
		return f
	}
	f.advice = "Is mkd running, and is --server the address of a megaki listener in its config.yaml?"
	var unknown *net.DNSError
	switch {
	case errors.As(f.err, &unknown):
		f.advice = "The name of --server has no address: check its spelling, and DNS."
	case ctx.Err() != nil:
		f.advice = "Nothing responds there: a firewall may drop the packets, or the address is wrong."
	}
	return f
}

func (d *doctor) dial(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.server.address)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return conn, err
}

func (d *doctor) handshake(ctx context.Context) (f finding) {
	start := time.Now()
	c, err := megaki.NewConn(ctx, d.conn, d.cfg)
	if err == nil {
		session := c.Session()
		d.cfg.Session = &session
		c.Close()
		return finding{text: fmt.Sprintf("a new session in %s; its token is %s", since(start), session.Token)}
	}
	f = finding{err: err, advice: "Compare the keys (above). If they are the same, the server's log has the reason, at level info."}
	var refused *megaki.ServerError
	switch {
	case errors.As(err, &refused) && refused.Code == megaki.CodeVersion:
		f.advice = "The server speaks another version of the protocol: update it, or this client."
	case errors.As(err, &refused):
		f.advice = "The server refuses for now, or on purpose: see its log."
	case d.speaksHTTP(ctx):
		f.advice = "An HTTP server responds at this port, and no Megaki server: --server wants the address of a megaki listener."
	}
	return f
}

// speaksHTTP reports whether the server responds to HTTP. It has time of its own: such a
// server may have waited for the end of a line, which a SYN needn't have, until the step's
// was over.
func (d *doctor) speaksHTTP(ctx context.Context) bool {
	if errors.Is(ctx.Err(), context.Canceled) { // by the user
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
	defer cancel()
	conn, err := d.dial(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	begin := make([]byte, 5)
	_, err = io.ReadFull(conn, begin)
	return err == nil && string(begin) == "HTTP/"
}

func (d *doctor) resumption(ctx context.Context) finding {
	start := time.Now()
	c, err := megaki.Dial(ctx, "tcp", d.server.address, d.cfg)
	if err != nil {
		return finding{err: err, advice: "A handshake was possible a moment ago: something between here and the server may limit connections."}
	}
	d.resumed = c
	session := c.Session()
	if d.cfg.Session = &session; !c.Resumed() {
		return finding{err: errors.New("the server has forgotten the session, and did a handshake"),
			advice: "Each connection costs a handshake so. Does a load balancer lead to several servers that don't\nshare their sessions? Is sessions.capacity in config.yaml too small?"}
	}
	return finding{text: fmt.Sprintf("the session is resumed in %s", since(start))}
}

func (d *doctor) send(ctx context.Context, message []byte) (f finding) {
	start := time.Now()
	if d.response, f.err = d.resumed.RoundTrip(ctx, message); f.err == nil {
		return finding{text: fmt.Sprintf("%d bytes got a response of %d bytes in %s", len(message), len(d.response), since(start))}
	}
	f.advice = "The session works, and the server closes at this message: look into its log. If it expects other\nmessages than HTTP requests, give one with --message."
	var long *megaki.TooLongError
	switch {
	case errors.As(f.err, &long):
		f.advice = "Try a larger --max-message, or another --path."
	case ctx.Err() != nil:
		f.advice = "The site is slow, or hangs: see the server's log, and try a longer --timeout."
	case d.message != "":
		f.advice = "The session works, and the server closes at this message: look into its log. Is there a route with\nmatch: {payload: raw}?"
	}
	return f
}

func (d *doctor) route() finding {
	r, err := parseResponse(d.response, http.MethodGet)
	if err != nil {
		return finding{err: err, advice: "Messages of this server aren't HTTP requests: use --message here, and 'sazukari send' or 'sazukari shell'."}
	}
	text := fmt.Sprintf("https://%s%s: %s", d.host, d.path, r.Status)
	switch code := r.StatusCode; {
	case code < 400 || code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusMethodNotAllowed:
		return finding{text: text}
	case code == http.StatusNotFound || code == http.StatusMisdirectedRequest:
		return finding{err: errors.New(text), advice: "No route of the server, or no page of the site, has this host and path: give those of a page with\n--host and --path, and see match in the routes of config.yaml."}
	case code < 500:
		return finding{err: errors.New(text), advice: "The server refuses the request: see its log."}
	}
	return finding{err: errors.New(text), advice: "The server is fine, and the site behind it isn't: is its backend running? See the server's log."}
}

// limits finds out how long a message may be: --max-message bytes, or a half of
// that, and so on.
func (d *doctor) limits(ctx context.Context) finding {
	c := &megaki.Client{Address: d.server.address, Config: *d.cfg}
	defer c.Close()
	var failed error
	for n := d.cfg.MaxMessage; ; n /= 2 {
		message, err := d.padded(n)
		if err != nil { // no room for a body
			return finding{err: failed, advice: "The server takes no longer message than that of the step message: see max_message in its config.yaml."}
		}
		response, err := c.Send(ctx, message)
		switch {
		case err == nil && n == d.cfg.MaxMessage:
			return finding{text: fmt.Sprintf("a message of --max-message, %d bytes, gets a response%s", n, status(response))}
		case err == nil:
			return finding{text: fmt.Sprintf("a message of %d bytes gets a response%s; one of %d bytes gets none: %v", n, status(response), 2*n, failed),
				advice: fmt.Sprintf("Use --max-message %d, or see max_message in the server's config.yaml.", n)}
		case ctx.Err() != nil:
			return finding{err: context.Cause(ctx), advice: "The connection is slow for long messages: try a longer --timeout, or a smaller --max-message."}
		}
		failed = err
	}
}

// padded returns the request with a body that makes it n bytes long, or a byte or
// two less: the body's length is in the head, too.
func (d *doctor) padded(n int) ([]byte, error) {
	message, err := d.request(n)
	if err != nil {
		return nil, err
	}
	head := len(message) - n
	if head >= n {
		return nil, errors.New("too short for a body")
	}
	return d.request(n - head)
}

// status returns the status of a response, in brackets.
func status(message []byte) string {
	r, err := parseResponse(message, http.MethodGet)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (%d)", r.StatusCode)
}

func since(start time.Time) time.Duration { return time.Since(start).Round(10 * time.Microsecond) }
