package upstream

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookupTimeout = 5 * time.Second // of one look-up
	maxAddresses  = 64              // of a name that are used
	maxDials      = 4               // addresses that are tried for one connection
)

// names has the addresses of a server whose host is a name. It looks them up anew as
// they are used, every so often, and keeps the last ones if that fails. Connections are
// spread over them.
type names struct {
	host, port string
	interval   time.Duration
	lookup     func(ctx context.Context, host string) ([]string, error)
	changed    func() // is called when addresses are gone

	mu      sync.Mutex
	list    []string             // addresses with their port, sorted; nil: none is known yet
	turn    int                  // which address is the first to be tried
	failed  map[string]time.Time // when an address couldn't be reached
	asking  chan struct{}        // closed when the look-up in flight has ended; nil: there is none
	err     error                // of the last look-up
	version atomic.Int64         // of list
	made    time.Time
	due     atomic.Int64 // when they are looked up anew, in ns since made
}

// newNames returns the names of an address, nil if there is nothing to look up.
func newNames(address string, interval time.Duration, lookup func(context.Context, string) ([]string, error), changed func()) *names {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	if lookup == nil {
		lookup = net.DefaultResolver.LookupHost
	}
	return &names{host: host, port: port, interval: interval, lookup: lookup, changed: changed, failed: make(map[string]time.Time), made: time.Now()}
}

// refresh begins a look-up if one is due. n may be nil.
func (n *names) refresh(now time.Time) {
	if n == nil || int64(now.Sub(n.made)) < n.due.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ask(now)
}

// ask begins a look-up if one is due and none is in flight. The caller holds mu.
func (n *names) ask(now time.Time) {
	if n.asking != nil || n.list != nil && int64(now.Sub(n.made)) < n.due.Load() {
		return
	}
	n.asking = make(chan struct{})
	go n.resolve()
}

// resolve looks the name up.
func (n *names) resolve() {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	hosts, err := n.lookup(ctx, n.host)
	if err == nil && len(hosts) == 0 {
		err = &net.DNSError{Err: "no such host", Name: n.host, IsNotFound: true}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	list := make([]string, 0, min(len(hosts), maxAddresses))
	for _, h := range hosts[:min(len(hosts), maxAddresses)] {
		list = append(list, net.JoinHostPort(h, n.port))
	}
	n.mu.Lock()
	gone := false
	if n.err = err; err == nil && !slices.Equal(list, n.list) {
		gone = slices.ContainsFunc(n.list, func(a string) bool { return !slices.Contains(list, a) })
		n.list = list
		n.version.Add(1)
		clear(n.failed)
	}
	n.due.Store(int64(time.Since(n.made) + n.interval))
	close(n.asking)
	n.asking = nil
	n.mu.Unlock()
	if gone {
		n.changed()
	}
}

// addresses returns those to try, in turn. It waits only if none is known yet.
func (n *names) addresses(ctx context.Context) (list []string, err error) {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ask(now)
	if n.list == nil {
		asking := n.asking
		n.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		n.mu.Lock()
		if n.list == nil {
			return nil, cmp.Or(err, n.err)
		}
	}
	first := n.turn % len(n.list)
	n.turn++
	list = append(slices.Clone(n.list[first:]), n.list[:first]...)
	// Those that couldn't be reached a moment ago are the last.
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(n.bad(a, now), n.bad(b, now)) })
	return list[:min(len(list), maxDials)], nil
}

// bad returns 1 if an address couldn't be reached within the interval, else 0.
func (n *names) bad(address string, now time.Time) int {
	if at, failed := n.failed[address]; failed && now.Sub(at) < n.interval {
		return 1
	}
	return 0
}

// note notes whether an address was reached.
func (n *names) note(address string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.failed, address)
	} else if slices.Contains(n.list, address) {
		n.failed[address] = time.Now()
	}
}

// dial connects to one of the addresses, and returns which it was, and their version.
func (n *names) dial(ctx context.Context) (nc net.Conn, address string, version int64, err error) {
	version = n.version.Load()
	list, err := n.addresses(ctx)
	if err != nil {
		return nil, "", 0, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	for i, address := range list {
		var one net.Dialer
		if until, ok := ctx.Deadline(); ok { // each has its share of the time
			one.Timeout = max(time.Until(until)/time.Duration(len(list)-i), time.Millisecond)
		}
		nc, err = one.DialContext(ctx, "tcp", address)
		if err == nil || ctx.Err() == nil {
			n.note(address, err)
		}
		if err == nil || ctx.Err() != nil {
			return nc, address, version, err
		}
	}
	return nil, "", 0, err
}

// keeps reports whether the address of a connection is still one of the server's.
// version is that of the addresses when it was last known to be. n may be nil.
func (n *names) keeps(address string, version *int64) bool {
	if n == nil || n.version.Load() == *version {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	*version = n.version.Load()
	return slices.Contains(n.list, address)
}
