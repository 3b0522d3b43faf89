package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

func benchCommand() *cobra.Command {
	var b bench
	cmd := &cobra.Command{
		Use:   "bench --server HOST:PORT --key FILE [flags]",
		Short: "Measure a server",
		Long: `Measure a server with concurrent clients, and print the operations per
second and their latency. An operation is:

  message    a message and its response, on a session that stays open
  handshake  a connection, a handshake, a message and its response
  resume     a connection, a session resumed, a message and its response

In handshake mode each client keeps its own RSA key, as apps do. The exit code
is 1 if an operation failed.`,
		Args: cobra.NoArgs,
	}
	b.server.register(cmd, true)
	cmd.Flags().IntVarP(&b.clients, "clients", "c", 16, "concurrent clients")
	cmd.Flags().DurationVarP(&b.duration, "duration", "d", 10*time.Second, "how long to measure")
	cmd.Flags().StringVar(&b.mode, "mode", "message", "what to measure: message, handshake or resume")
	cmd.Flags().IntVar(&b.size, "size", 64, "`bytes` of a message")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := b.prepare(cmd.ErrOrStderr()); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		context.AfterFunc(ctx, stop) // a second interrupt ends the process
		defer stop()
		return b.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// operationTimeout bounds one operation, so that a hanging server is reported.
const operationTimeout = 30 * time.Second

// bench is a measurement.
type bench struct {
	server   serverFlags
	clients  int
	duration time.Duration
	mode     string
	size     int

	cfg     *megaki.Config
	message []byte
	work    func(ctx context.Context, c *benchClient) error

	done, failed atomic.Int64
}

// benchClient is one of the clients.
type benchClient struct {
	cfg      megaki.Config
	conn     *megaki.Conn
	response []byte
	latency  []time.Duration
	err      error // the first
}

func (b *bench) prepare(warnings io.Writer) (err error) {
	modes := map[string]func(context.Context, *benchClient) error{
		"message": b.messages, "handshake": b.handshakes, "resume": b.resumptions,
	}
	if b.work = modes[b.mode]; b.work == nil {
		return usage("--mode %q: want message, handshake or resume", b.mode)
	}
	if b.clients < 1 || b.duration <= 0 {
		return usage("--clients must be at least 1, and --duration more than 0")
	}
	if b.cfg, err = b.server.config(warnings); err != nil {
		return err
	}
	if b.size < 1 || b.size > b.cfg.MaxMessage {
		return usage("--size %d: want 1 to --max-message, %d", b.size, b.cfg.MaxMessage)
	}
	b.message = make([]byte, b.size)
	rand.Read(b.message)
	return nil
}

// run measures, and prints to out. On a terminal, progress goes to progress. When
// ctx ends, operations in flight are canceled and do not count.
func (b *bench) run(ctx context.Context, out, progress io.Writer) error {
	keys, err := b.keys(ctx, progress)
	if err != nil {
		return err
	}
	inTime, cancel := context.WithTimeout(ctx, b.duration)
	defer cancel()
	start := time.Now()
	stopProgress := b.showProgress(progress, start)
	clients := make([]benchClient, b.clients)
	var wg sync.WaitGroup
	for i := range clients {
		clients[i].cfg = *b.cfg
		clients[i].cfg.ClientKey = keys[i]
		wg.Go(func() { b.client(ctx, inTime, &clients[i]) })
	}
	wg.Wait()
	took := time.Since(start)
	stopProgress()
	return b.report(out, clients, took)
}

// keys makes the clients' RSA keys, which takes a core a while.
func (b *bench) keys(ctx context.Context, progress io.Writer) ([]*rsa.PrivateKey, error) {
	type made struct {
		key *rsa.PrivateKey
		err error
	}
	next := make(chan made)
	go func() {
		for range b.clients {
			key, err := megaki.GenerateKey()
			select {
			case next <- made{key, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	var keys []*rsa.PrivateKey
	for len(keys) < b.clients {
		if isTerminal(os.Stderr) {
			fmt.Fprintf(progress, "\rmaking client keys: %d of %d", len(keys)+1, b.clients)
		}
		select {
		case m := <-next:
			if m.err != nil {
				return nil, m.err
			}
			keys = append(keys, m.key)
		case <-ctx.Done():
			return nil, errors.New("interrupted")
		}
	}
	if isTerminal(os.Stderr) {
		fmt.Fprint(progress, "\r\x1b[K")
	}
	return keys, nil
}

// client does operations until inTime ends. It finishes the last one, unless ctx
// ends.
func (b *bench) client(ctx, inTime context.Context, c *benchClient) {
	defer func() {
		if c.conn != nil {
			c.conn.Close()
		}
	}()
	for inTime.Err() == nil {
		op, cancel := context.WithTimeout(ctx, operationTimeout)
		start := time.Now()
		err := b.work(op, c)
		took := time.Since(start)
		cancel()
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			b.failed.Add(1)
			if c.err == nil {
				c.err = err
			}
			if c.conn != nil {
				c.conn.Close()
				c.conn = nil
			}
			select { // do not flood a server that is down
			case <-inTime.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		b.done.Add(1)
		c.latency = append(c.latency, took)
	}
}

// connect opens a connection, which resumes cfg.Session if there is one, and
// keeps its session.
func (b *bench) connect(ctx context.Context, c *benchClient) (err error) {
	if c.conn, err = megaki.Dial(ctx, "tcp", b.server.address, &c.cfg); err != nil {
		c.conn = nil
		return err
	}
	session := c.conn.Session()
	c.cfg.Session = &session
	return nil
}

func (b *bench) send(ctx context.Context, c *benchClient) (err error) {
	c.response, err = c.conn.AppendRoundTrip(ctx, c.response[:0], b.message)
	return err
}

func (b *bench) messages(ctx context.Context, c *benchClient) error {
	if c.conn == nil {
		if err := b.connect(ctx, c); err != nil {
			return err
		}
	}
	err := b.send(ctx, c)
	if errors.Is(err, megaki.ErrKeyUsed) { // nothing was sent
		c.conn.Close()
		if err = b.connect(ctx, c); err == nil {
			err = b.send(ctx, c)
		}
	}
	return err
}

func (b *bench) handshakes(ctx context.Context, c *benchClient) error {
	c.cfg.Session = nil
	return b.once(ctx, c)
}

func (b *bench) resumptions(ctx context.Context, c *benchClient) error {
	had := c.cfg.Session != nil
	err := b.once(ctx, c)
	if err == nil && had && !c.conn.Resumed() {
		return errors.New("the server didn't resume the session")
	}
	return err
}

// once opens a connection for one message.
func (b *bench) once(ctx context.Context, c *benchClient) error {
	if c.conn != nil {
		c.conn.Close()
	}
	if err := b.connect(ctx, c); err != nil {
		return err
	}
	err := b.send(ctx, c)
	c.conn.Close()
	return err
}

// showProgress keeps a line on a terminal up to date until it is stopped.
func (b *bench) showProgress(w io.Writer, start time.Time) (stop func()) {
	if !isTerminal(os.Stderr) {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case <-tick.C:
				done, passed := b.done.Load(), time.Since(start)
				fmt.Fprintf(w, "\r\x1b[K%s of %s: %d done, %.0f/s, %d failed", passed.Round(100*time.Millisecond),
					b.duration, done, float64(done)/passed.Seconds(), b.failed.Load())
			}
		}
	}()
	return func() { close(quit); <-gone }
}

func (b *bench) report(out io.Writer, clients []benchClient, took time.Duration) error {
	var all []time.Duration
	var first error
	for i := range clients {
		all = append(all, clients[i].latency...)
		if first == nil {
			first = clients[i].err
		}
	}
	slices.Sort(all)
	fmt.Fprintf(out, "mode %s, %d clients, %d bytes a message, %s\n", b.mode, b.clients, b.size, took.Round(time.Millisecond))
	fmt.Fprintf(out, "%d done, %.0f/s, %d failed\n", len(all), float64(len(all))/took.Seconds(), b.failed.Load())
	if len(all) > 0 {
		at := func(q float64) time.Duration {
			return all[min(len(all)-1, int(q*float64(len(all))))].Round(time.Microsecond)
		}
		fmt.Fprintf(out, "latency p50 %s, p99 %s, max %s\n", at(0.5), at(0.99), at(1))
	}
	if n := b.failed.Load(); n > 0 {
		return fmt.Errorf("%d operations failed; the first: %w", n, first)
	}
	if len(all) == 0 {
		return errors.New("no operation was done within --duration")
	}
	return nil
}
