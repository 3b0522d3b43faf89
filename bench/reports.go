package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mkd/megaki"
)

// report is a measurement that isn't a comparison of CPU times.
type report struct {
	name string
	run  func(ctx context.Context, o *options, out io.Writer) error
}

func (p *park) reports() []*report {
	return []*report{
		{"memory of idle sessions", p.memory},
		{"100,000 idle sessions", p.crowd},
		{"messages under a flood of handshakes", p.flood},
	}
}

// settle is how long idle connections are left alone before their memory counts.
const settle = 10 * time.Second

// memory prints the resident memory of servers that were just started, and with idle
// connections that each had a request: sessions of mkd, TLS connections of nginx.
func (p *park) memory(ctx context.Context, o *options, out io.Writer) error {
	nginxTLS := loopback(p.NginxTLS)
	for _, s := range []struct {
		name, at string
		pid      *int
		dial     func(context.Context) (func() error, func(), error)
	}{
		{"mkd, Megaki", p.MkdMegaki, &p.mkd, overMegaki(p.MkdMegaki, p.key, request("/"), p.Body)},
		{"nginx, HTTPS", nginxTLS, &p.nginx, overHTTP(nginxTLS, "/", tlsConfig, p.Body)},
	} {
		if err := p.restart(ctx, s.pid, s.at); err != nil {
			return err
		}
		none, err := resident([]int{*s.pid})
		if err != nil {
			return err
		}
		c := &contender{name: s.name, dial: s.dial}
		counts := []int{1000, 10000}
		var memory []int64
		for _, n := range counts {
			if err := c.connect(ctx, n-len(c.asks)); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			select {
			case <-time.After(settle):
			case <-ctx.Done():
			}
			now, err := resident([]int{*s.pid})
			if err != nil {
				return err
			}
			memory = append(memory, now)
		}
		c.close()
		const mb = 1 << 20
		fmt.Fprintf(out, "  %-12s  %5.1f MB with none  %5.1f MB with %d  %5.1f MB with %d, %4.1f KB each\n", s.name,
			float64(none)/mb, float64(memory[0])/mb, counts[0], float64(memory[1])/mb, counts[1],
			float64(memory[1]-none)/1024/float64(counts[1]))
	}
	return nil
}

// crowdSize is how many sessions are idle at once in crowd. Each side of them needs a
// descriptor for each.
const crowdSize = 100_000

// crowd opens crowdSize sessions of mkd, prints its resident memory once they rest, and
// whether each responds. It takes minutes.
func (p *park) crowd(ctx context.Context, o *options, out io.Writer) error {
	const descriptors = crowdSize + 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < descriptors {
		fmt.Fprintf(out, "  not run: it needs %d descriptors for a process, and the limit is %d (ulimit -Hn)\n", descriptors, limit.Max)
		return nil
	}
	if err := p.restart(ctx, &p.mkd, p.MkdMegaki); err != nil {
		return err
	}
	none, err := resident([]int{p.mkd})
	if err != nil {
		return err
	}
	config, err := megakiConfig(p.key)
	if err != nil {
		return err
	}
	message, conns := request("/respond"), make([]*megaki.Conn, crowdSize)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	each := func(doing string, do func(i int) error) error {
		const hands = 8
		began, errs := time.Now(), make([]error, hands)
		var done atomic.Int64
		var wg sync.WaitGroup
		for hand := range hands {
			wg.Go(func() {
				for i := hand; i < crowdSize && errs[hand] == nil; i += hands {
					errs[hand] = do(i)
					if n := done.Add(1); n%10_000 == 0 {
						fmt.Fprintf(os.Stderr, "%s: %d of %d in %v\n", doing, n, crowdSize, time.Since(began).Round(time.Second))
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return nil
	}
	ask := func(i int) error {
		response, err := conns[i].RoundTrip(ctx, message)
		if err == nil && !strings.HasSuffix(string(response), p.Body) {
			err = fmt.Errorf("%.60q", response)
		}
		return err
	}
	err = each("connecting", func(i int) error {
		// An address has some 28,000 ports for connections to one server.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%10))}}
		c, err := d.DialContext(ctx, "tcp", p.MkdMegaki)
		if err != nil {
			return err
		}
		if conns[i], err = megaki.NewConn(ctx, c, &config); err != nil {
			return err
		}
		return ask(i)
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	idle, err := resident([]int{p.mkd})
	if err != nil {
		return err
	}
	if err := each("asking", ask); err != nil {
		return err
	}
	const mb = 1 << 20
	fmt.Fprintf(out, "  mkd  %.1f MB with none  %.1f MB with %d, %.1f KB each, and each responds\n", float64(none)/mb,
		float64(idle)/mb, crowdSize, float64(idle-none)/1024/crowdSize)
	return nil
}

// resident returns the resident memory of processes and their children, in bytes.
func resident(pids []int) (total int64, err error) {
	for _, pid := range slices.Concat(pids, childrenOf(pids)) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return 0, err
		}
		var size, pages int64
		if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
			return 0, err
		}
		total += pages * int64(os.Getpagesize())
	}
	return total, nil
}

// childrenOf returns the children of processes, but not theirs.
func childrenOf(pids []int) (children []int) {
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		for _, field := range strings.Fields(string(data)) {
			var child int
			fmt.Sscan(field, &child)
			children = append(children, child)
		}
	}
	return children
}

// flood prints how long messages of 50 sessions take, each of which sends one every
// 20 ms: quiet, and while attackers at many addresses begin 700 handshakes a second
// with a SYN that was recorded.
func (p *park) flood(ctx context.Context, o *options, out io.Writer) error {
	const sessions, pause, syns = 50, 20 * time.Millisecond, 700
	c := &contender{name: "mkd", pids: []int{p.mkd}, dial: overMegaki(p.MkdMegaki, p.key, request("/"), p.Body)}
	if err := c.connect(ctx, sessions); err != nil {
		return err
	}
	defer c.close()
	syn, err := recordSYN(ctx, p.key)
	if err != nil {
		return err
	}
	measure := func(name string) error {
		began := time.Now()
		took, errs := make([][]time.Duration, sessions), make([]error, sessions)
		var wg sync.WaitGroup
		for i, ask := range c.asks {
			wg.Go(func() {
				time.Sleep(pause * time.Duration(i) / sessions)
				for time.Since(began) < o.duration*2 && errs[i] == nil && ctx.Err() == nil {
					at := time.Now()
					errs[i] = ask()
					took[i] = append(took[i], time.Since(at))
					time.Sleep(pause)
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		all := slices.Concat(took...)
		slices.Sort(all)
		fmt.Fprintf(out, "  %-34s  p50 %6.2f ms  p99 %6.2f ms\n", name, all[len(all)/2].Seconds()*1e3, all[len(all)*99/100].Seconds()*1e3)
		return nil
	}
	if err := measure("quiet"); err != nil {
		return err
	}
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var responded counted
	wg.Go(func() {
		tick := time.NewTicker(time.Second / syns)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-flooding.Done():
				return
			case <-tick.C:
				wg.Go(func() { responded.add(attack(flooding, p.MkdMegaki, i, syn)) })
			}
		}
	})
	began := time.Now()
	err = measure(fmt.Sprintf("%d handshakes a second", syns))
	rate := float64(responded.get()) / time.Since(began).Seconds()
	stop()
	wg.Wait()
	fmt.Fprintf(out, "  of which %.0f a second got a response\n", rate)
	return err
}

// attack begins a handshake from one of many addresses. It reports whether it
// got a response.
func attack(ctx context.Context, address string, i int, syn []byte) bool {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+i%100), byte(i/100%250), 1)}, Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	c.Write(syn)
	_, err = io.ReadFull(c, make([]byte, 310)) // a SYN-ACK
	return err == nil
}

// recordSYN returns what a client sends first.
func recordSYN(ctx context.Context, key string) ([]byte, error) {
	config, err := megakiConfig(key)
	if err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	defer server.Close()
	go megaki.NewConn(ctx, client, &config)
	buf := make([]byte, 64<<10)
	n, err := server.Read(buf)
	return buf[:n], err
}

// counted counts what was true.
type counted struct {
	mu sync.Mutex
	n  int
}

func (c *counted) add(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if yes {
		c.n++
	}
}

func (c *counted) get() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
