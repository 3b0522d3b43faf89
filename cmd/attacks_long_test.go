//go:build long

package cmd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/megaki"
)

// dialFrom connects to the daemon from an address of this machine.
func (d *daemon) dialFrom(ctx context.Context, a, b byte) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, a, b)}}
	return dialer.DialContext(ctx, "tcp", d.address)
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
		{"1,000 silent connections", daemonOptions{megaki: "max_connections: 1000"}, 64, 850, 0,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 1000, time.Second, func(net.Conn) error { return nil })
			}},
		{"656 half-sent messages", daemonOptions{limits: "message_memory: 64MiB"}, 160, 850, 656,
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
		{"2,468 handshakes", daemonOptions{keep: "capacity: 1000"}, 64, 100, 0,
			func(ctx context.Context, d *daemon) {
				var left atomic.Int32
				left.Store(2468)
				hold(ctx, d, 8, 0, func(c net.Conn) error {
					if left.Add(-1) >= 0 {
						megaki.NewConn(ctx, c, &d.config)
					}
					return io.EOF
				})
			}},
		{"SYNs of garbage", daemonOptions{}, 64, 100, 0,
			func(ctx context.Context, d *daemon) {
				syn := bytes.Repeat([]byte{0x5A}, 550)
				copy(syn, "MGK\xAA\xCA\x01")
				hold(ctx, d, 16, 0, func(c net.Conn) error { _, err := c.Write(syn); return err })
			}},
		{"messages that use up keys' memory", daemonOptions{limits: "message_memory: 16MiB"}, 128, 200, 0,
			func(ctx context.Context, d *daemon) {
				hold(ctx, d, 100, 0, func(c net.Conn) error {
					m, err := megaki.NewConn(ctx, c, &d.config)
					for i := 0; err == nil; i++ {
						_, err = m.RoundTrip(ctx, binary.BigEndian.AppendUint32(make([]byte, 20), uint32(i)))
					}
					return err
				})
			}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			attack.options.plain = true
			attack.options.php = "workers: {min: 4, max: 4}, queue: 1000"
			d := startDaemonWith(t, attack.options)
			clients := make([]*quietClient, 20)
			for i := range clients {
				clients[i] = &quietClient{d: d, address: byte(i + 1), cfg: d.config}
				clients[i].send(t.Context())
			}
			before, _ := d.memory(t)
			open := d.descriptors(t)

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
			time.Sleep(15 * time.Second)
			during, _ := d.memory(t)
			openDuring := d.descriptors(t)
			talking.Wait()
			cancel()
			wg.Wait()
			var took []time.Duration
			for i, q := range clients {
				took = append(took, q.took...)
				if len(q.failed) > 0 || q.anew > 0 {
					t.Errorf("quiet client %d: %d failures, the first %v; %d handshakes in place of resumptions", i, len(q.failed), q.failed[:min(1, len(q.failed))], q.anew)
				}
				q.close()
			}
			time.Sleep(15 * time.Second)
			after, peak := d.memory(t)
			slices.Sort(took)
			at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(time.Microsecond) }
			t.Logf("quiet clients: %d messages, p50 %v, p99 %v, longest %v", len(took), at(0.5), at(0.99), at(1))
			t.Logf("resident memory: %d MiB before, %d during, %d at its peak, %d after; descriptors: %d before, %d during, %d after",
				before, during, peak, after, open, openDuring, d.descriptors(t))
			if len(took) < 20*20 || at(0.99) > 3*time.Second {
				t.Errorf("%d messages, p99 %v", len(took), at(0.99))
			}
			if peak > before+attack.memory || openDuring > open+attack.open {
				t.Errorf("it took %d MiB and %d descriptors", peak-before, openDuring-open)
			}
		})
	}
}
