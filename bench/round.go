package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// round is what a server did in one round.
type round struct {
	rate     float64 // requests a second
	p50, p99 time.Duration
	cpu      time.Duration // of the server, for a request
}

// connect makes the connections, and makes one request on each.
func (c *contender) connect(ctx context.Context, conns int) error {
	for range conns {
		ask, done, err := c.dial(ctx)
		if err != nil {
			return err
		}
		c.asks, c.closes = append(c.asks, ask), append(c.closes, done)
		if err := ask(); err != nil { // not counted: it may connect
			return err
		}
	}
	return nil
}

func (c *contender) close() {
	for _, done := range c.closes {
		done()
	}
	c.asks, c.closes = nil, nil
}

// round sends one request after the other on each connection.
func (c *contender) round(ctx context.Context, duration time.Duration) (round, error) {
	asks, conns := c.asks, len(c.asks)
	before, err := cpuTime(c.pids)
	if err != nil {
		return round{}, err
	}
	began := time.Now()
	took := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i, ask := range asks {
		wg.Go(func() {
			for at := time.Now(); at.Sub(began) < duration && ctx.Err() == nil; {
				if errs[i] = ask(); errs[i] != nil {
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	after, err := cpuTime(c.pids)
	for _, err := range append(errs, err, ctx.Err()) {
		if err != nil {
			return round{}, err
		}
	}
	all := slices.Concat(took...)
	if len(all) < 20 {
		return round{}, fmt.Errorf("only %d requests in %v", len(all), elapsed)
	}
	slices.Sort(all)
	return round{
		rate: float64(len(all)) / elapsed.Seconds(),
		p50:  all[len(all)/2],
		p99:  all[len(all)*99/100],
		cpu:  (after - before) / time.Duration(len(all)),
	}, nil
}

// ticks is the unit of the times in /proc (USER_HZ, 100 on Linux).
const tick = 10 * time.Millisecond

// cpuTime returns the CPU time of processes and all their descendants, those
// that have ended and were waited for included.
func cpuTime(pids []int) (total time.Duration, err error) {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	times := map[int]time.Duration{}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		pid, parent, cpu, err := parseStat(string(data))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		children[parent] = append(children[parent], pid)
		times[pid] = cpu
	}
	var add func(pid int)
	add = func(pid int) {
		total += times[pid]
		for _, child := range children[pid] {
			add(child)
		}
	}
	for _, pid := range pids {
		if _, ok := times[pid]; !ok {
			return 0, fmt.Errorf("process %d is gone", pid)
		}
		add(pid)
	}
	return total, nil
}

// parseStat parses /proc/PID/stat (proc(5)).
func parseStat(stat string) (pid, parent int, cpu time.Duration, err error) {
	end := strings.LastIndexByte(stat, ')') // the name may have spaces
	begin := strings.IndexByte(stat, ' ')
	if begin < 0 || end < 0 {
		return 0, 0, 0, errors.New("malformed")
	}
	if pid, err = strconv.Atoi(stat[:begin]); err != nil {
		return 0, 0, 0, err
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 15 {
		return 0, 0, 0, errors.New("too short")
	}
	if parent, err = strconv.Atoi(fields[1]); err != nil {
		return 0, 0, 0, err
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		cpu += time.Duration(n) * tick
	}
	return pid, parent, cpu, nil
}
