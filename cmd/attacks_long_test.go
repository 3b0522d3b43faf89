//go:build long

package cmd

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mkd/megaki"
)

// dialFrom connects to the daemon from an address of this machine.
func (d *daemon) dialFrom(ctx context.Context, a, b byte) (net.Conn, error) {
	return dialAs(ctx, a, b, d.address)
}

// dialAs connects to a server from an address of this machine. The port is chosen when it
// connects, not before (ip(7)): or else tens of thousands of connections from one address
// would take all ports from whoever connects meanwhile, on the whole machine.
func dialAs(ctx context.Context, a, b byte, server string) (net.Conn, error) {
	dialer := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, a, b)},
		Control: func(_, _ string, raw syscall.RawConn) (err error) {
			e := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
			})
			return errors.Join(e, err)
		},
	}
	return dialer.DialContext(ctx, "tcp", server)
}

// descriptors returns the number of the daemon's open descriptors.
func (d *daemon) descriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// quietClient sends a message now and then, each client from an address of its
// own. It resumes its session when the connection ends.
type quietClient struct {
	d       *daemon
	address byte
	cfg     megaki.Config
	conn    *megaki.Conn
	took    []time.Duration
	failed  []error
	anew    int // handshakes after the first
}

func (q *quietClient) connect(ctx context.Context) error {
	conn, err := q.d.dialFrom(ctx, 10, q.address)
	if err != nil {
		return err
	}
	if q.conn, err = megaki.NewConn(ctx, conn, &q.cfg); err != nil {
		conn.Close()
		q.conn = nil
		return err
	}
	if q.cfg.Session != nil && !q.conn.Resumed() {
		q.anew++
	}
	session := q.conn.Session()
	q.cfg.Session = &session
	return nil
}

// send sends a message over the size of the smallest buffer.
func (q *quietClient) send(ctx context.Context) {
	message := bytes.Repeat([]byte{q.address}, 5000)
	start := time.Now()
	err := func() error {
		if q.conn == nil {
			if err := q.connect(ctx); err != nil {
				return err
			}
		}
		response, err := q.conn.RoundTrip(ctx, message)
		if err == nil && !bytes.Equal(response, message) {
			err = fmt.Errorf("%d other bytes", len(response))
		}
		return err
	}()
	if err != nil {
		q.failed = append(q.failed, err)
		q.close()
		return
	}
	q.took = append(q.took, time.Since(start))
}

func (q *quietClient) close() {
	if q.conn != nil {
		q.conn.Close()
		q.conn = nil
	}
}

// TestLongAttacksOfOneAddress: what one address can do with Megaki, while 20
// clients at other addresses send a message ten times a second. None of them may
// fail or lose its session.
func TestLongAttacksOfOneAddress(t *testing.T) {
	const greedy = 9
	var begun atomic.Int32 // connections of an attack that takes a while to begin
	// hold connects again and again, lets begin send something, and then holds the
	// connection until the daemon closes it or the attack ends. A pause follows.
	hold := func(ctx context.Context, d *daemon, n int, pause time.Duration, begin func(c net.Conn) error) {
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				for ctx.Err() == nil {
					c, err := d.dialFrom(ctx, greedy, greedy)
					if err != nil {
						continue
					}
					stop := context.AfterFunc(ctx, func() { c.Close() })
					if begin(c) == nil {
						io.Copy(io.Discard, c)
					}
					stop()
					c.Close()
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			})
		}
		wg.Wait()
	}
	for _, attack := range []struct {
		name    string
		options daemonOptions
		memory  int // MiB that it may take at its peak
		open    int // descriptors that it may take
		begin   int32
		run     func(ctx context.Context, d *daemon)
	}{
		{"nothing, by Megaki", daemonOptions{}, 32, 32, 0, func(ctx context.Context, d *daemon) { <-ctx.Done() }},
		{"1,000 silent connections, of `max_connections: 1000`", daemonOptions{megaki: "max_connections: 1000"}, 64, 850, 0,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 1000, time.Second, func(net.Conn) error { return nil })
			}},
		{"656 half-sent messages of 390 KB, with `message_memory: 64MiB`", daemonOptions{limits: "message_memory: 64MiB"}, 160, 850, 656,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 656, time.Minute, func(c net.Conn) error {
					half := &halfConn{Conn: c}
					m, err := megaki.NewConn(ctx, half, &d.config)
					if err != nil {
						return err
					}
					half.half.Store(true)
					begun.Add(1)
					m.RoundTrip(ctx, make([]byte, 390_000))
					return io.EOF
				})
			}},
		{"2,468 handshakes, with `sessions: {capacity: 1000}`", daemonOptions{keep: "capacity: 1000"}, 64, 100, 0,
			func(ctx context.Context, d *daemon) {
				var left atomic.Int32
				left.Store(2468)
				hold(ctx, d, 8, 0, func(c net.Conn) error {
					if left.Add(-1) < 0 {
						<-ctx.Done()
						return ctx.Err()
					}
					megaki.NewConn(ctx, c, &d.config)
					return io.EOF
				})
			}},
		{"2,468 handshakes, each from another address, with `sessions: {capacity: 1000}`", daemonOptions{keep: "capacity: 1000"}, 64, 100, 0, manyAddresses},
		{"2,468 handshakes, each from another address, with `sessions: {capacity: 1000, store: {file: …}}`",
			daemonOptions{keep: "capacity: 1000, timeout: 20s, secret_file: sessions.secret, store: {file: {path: sessions.db}}"}, 96, 100, 0, manyAddresses},
		{"SYNs of garbage", daemonOptions{}, 64, 100, 0,
			func(ctx context.Context, d *daemon) {
				syn := bytes.Repeat([]byte{0x5A}, 550)
				copy(syn, "MGK\xAA\xCA\x01")
				hold(ctx, d, 16, 0, func(c net.Conn) error { _, err := c.Write(syn); return err })
			}},
		{"messages that use up the memory for seen MACs, with `message_memory: 16MiB`", daemonOptions{limits: "message_memory: 16MiB"}, 128, 200, 0,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 100, 0, func(c net.Conn) error {
					m, err := megaki.NewConn(ctx, c, &d.config)
					for i := 0; err == nil; i++ {
						_, err = m.RoundTrip(ctx, binary.BigEndian.AppendUint32(make([]byte, 20), uint32(i)))
					}
					return err
				})
			}},
		{"resumptions of unknown sessions", daemonOptions{}, 64, 100, 0,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 16, 0, func(c net.Conn) error {
					cfg := d.config
					cfg.Session = new(megaki.Session)
					rand.Read(cfg.Session.Token[:])
					rand.Read(cfg.Session.Key[:])
					megaki.NewConn(ctx, &oneWrite{Conn: c}, &cfg)
					return io.EOF
				})
			}},
		{"messages that wait for PHP, 1,000 at once", daemonOptions{script: sleepingScript, php: "workers: {min: 4, max: 4}, queue: 200"}, 96, 1100, 1000,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 1000, 100*time.Millisecond, func(c net.Conn) error {
					m, err := megaki.NewConn(ctx, c, &d.config)
					if err == nil {
						begun.Add(1)
						_, err = m.RoundTrip(ctx, []byte("slow"))
					}
					return cmp.Or(err, io.EOF)
				})
			}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			begun.Store(0)
			attack.options.plain = true
			attack.options.php = cmp.Or(attack.options.php, "workers: {min: 4, max: 4}, queue: 1000")
			d := startDaemonWith(t, attack.options)
			clients := make([]*quietClient, 20)
			for i := range clients {
				clients[i] = &quietClient{d: d, address: byte(i + 1), cfg: d.config}
				clients[i].send(t.Context())
			}
			f := figures{mostMemory: attack.memory, mostOpen: attack.open, leastTook: 20 * 20}
			f.before, _ = d.memory(t)
			f.open = d.descriptors(t)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { attack.run(ctx, d) })
			for deadline := time.Now().Add(5 * time.Minute); begun.Load() < attack.begin; time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d of %d connections have begun", begun.Load(), attack.begin)
				}
			}
			quiet, end := context.WithTimeout(t.Context(), 20*time.Second)
			defer end()
			var talking sync.WaitGroup
			for _, q := range clients {
				talking.Go(func() {
					for i := 0; quiet.Err() == nil; i++ {
						if i%10 == 9 { // a new connection once a second
							q.close()
						}
						q.send(t.Context()) // which is not cut off
						select {
						case <-quiet.Done():
						case <-time.After(100 * time.Millisecond):
						}
					}
				})
			}
			f.watch(t, d)
			talking.Wait()
			cancel()
			wg.Wait()
			for i, q := range clients {
				f.took = append(f.took, q.took...)
				if len(q.failed) > 0 || q.anew > 0 {
					t.Errorf("quiet client %d: %d failures, the first %v; %d handshakes in place of resumptions", i, len(q.failed), q.failed[:min(1, len(q.failed))], q.anew)
				}
				q.close()
			}
			time.Sleep(15 * time.Second)
			f.after, f.peak = d.memory(t)
			f.openAfter = d.descriptors(t)
			f.check(t, attack.name)
		})
	}
}

// manyAddresses does handshakes, each from another address.
func manyAddresses(ctx context.Context, d *daemon) {
	var last atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := last.Add(1); i <= 2468 && ctx.Err() == nil; i = last.Add(1) {
				c, err := d.dialFrom(ctx, byte(20+i/250), byte(1+i%250))
				if err != nil {
					continue
				}
				megaki.NewConn(ctx, c, &d.config)
				c.Close()
			}
		})
	}
	wg.Wait()
}

// sleepingScript echoes, and sleeps before if it is asked to.
const sleepingScript = `<?php $ARCANGELO_USERSPACE = ['on_handle' => function () {
	if (arca::$request === 'slow') { usleep(50000); }
	return arca::$request;
}];`

// oneWrite is a connection that takes one write, and then fails.
type oneWrite struct {
	net.Conn
	written atomic.Bool
}

func (c *oneWrite) Write(p []byte) (int, error) {
	if c.written.Swap(true) {
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}
