package proxy

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mkd/admin"
	"mkd/config"
	"mkd/php"
	"mkd/proxy/backend"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/proxy/tally"
)

// Phases of a daemon.
const (
	phaseStarting = iota
	phaseServing
	phaseStopping
)

// keyDigits is how many hex digits of a key's fingerprint and of a token are shown.
// A whole token would name a session to whoever reads the status.
const (
	keyDigits   = 16
	tokenDigits = 8
)

// Status returns the state of the daemon. The fields of the process are its
// caller's: Version, Config, Generation, Reloads.
func (d *Daemon) Status() *admin.Status {
	g := d.current.Load()
	now := time.Now()
	st := &admin.Status{PID: os.Getpid(), Now: now.UTC(), InFlight: d.inFlight(), LogDropped: d.logs.Dropped(), Failures: make(map[string]uint64)}
	d.countStatus(st)
	for _, k := range request.Kinds() {
		st.Failures[k.String()] = d.tally.Failures(int(k))
	}
	st.Maintenance = g.routes.Maintenance()
	d.phaseStatus(st)
	d.listenerStatus(st)
	for i := range g.cfg.Backends {
		c := &g.cfg.Backends[i]
		b := backendStatus(c, g.backends[c.Name].Backend)
		if b.Pool != nil && len(b.Pool.Workers) == 0 && d.phase.Load() == phaseServing {
			why, _, _ := strings.Cut(b.Pool.Failure, "\n") // a stack trace may follow; /readyz has a reason a line
			st.NotReady = append(st.NotReady, fmt.Sprintf("backend %s: no worker is ready: %s", c.Name, cmp.Or(why, "they are starting")))
		}
		st.Backends = append(st.Backends, b)
	}
	if st.State == "ready" && len(st.NotReady) > 0 {
		st.State = "not ready"
	}
	kept := d.sessionStats()
	st.Sessions.Capacity, st.Sessions.Resumable, st.Sessions.Store = g.cfg.Sessions.Capacity, kept.Sessions, kept.Kind
	st.Sessions.StoreDown, st.Sessions.StoreFailures, st.Sessions.Unreadable = kept.Guard.Down, kept.Guard.Failures+kept.Guard.Refused, kept.Unreadable
	if kept.Guard.Down {
		st.Sessions.StoreError = logs.Shorten(kept.Guard.LastError, maxText)
	}
	for _, c := range d.certs.Status() {
		st.Certificates = append(st.Certificates, admin.Certificate{
			Listener: c.Listener, Source: c.Source, Name: c.Name, Hosts: c.Hosts, NotAfter: utc(c.NotAfter), Error: c.Error, ErrorAt: utc(c.ErrorAt), NextTry: utc(c.NextTry),
		})
	}
	st.Memory = admin.Memory{Messages: d.memory.InUse(), MessagesLimit: int64(g.cfg.Limits.MessageMemory), SpoolLimit: int64(g.cfg.Limits.Spool.MaxTotal), Resident: resident()}
	st.Memory.HTTP, st.Memory.HTTPLimit = d.webMemory.InUse(), d.webMemory.Limit()
	st.Memory.Spool, st.Memory.SpoolMemory = d.spool.InUse()
	return st
}

// countStatus adds what was counted of requests.
func (d *Daemon) countStatus(st *admin.Status) {
	counts, gone := d.tally.Snapshot()
	for i := range counts {
		st.Counts = append(st.Counts, countOf(&counts[i]))
	}
	for i := range gone {
		c := countOf(&gone[i].Snapshot)
		if gone[i].Routeless {
			c.Route, c.Backend = "", ""
		}
		st.Gone = append(st.Gone, c)
	}
	for c := range st.AllCounts() {
		st.Requests += c.Requests()
	}
}

func countOf(s *tally.Snapshot) admin.Count {
	return admin.Count{Listener: s.Listener, Route: cmp.Or(s.Route, "none"), Backend: cmp.Or(s.Backend, "none"), Classes: s.Classes, In: s.In, Out: s.Out, Duration: s.Duration}
}

// phaseStatus reports whether the daemon serves.
func (d *Daemon) phaseStatus(st *admin.Status) {
	switch d.phase.Load() {
	case phaseStarting:
		st.State, st.NotReady = "starting", []string{"the backends are starting"}
	case phaseServing:
		st.State = "ready"
	default:
		st.State, st.NotReady = "stopping", []string{"mkd is stopping"}
	}
}

// listenerStatus adds the listeners.
func (d *Daemon) listenerStatus(st *admin.Status) {
	open := d.phase.Load() != phaseStarting
	for _, l := range d.open() {
		c := l.config()
		s := admin.Listener{Name: c.Name, Kind: c.Kind(), MaxConnections: c.MaxConnections()}
		for c := range st.AllCounts() {
			if c.Listener == s.Name {
				s.Requests, s.In, s.Out = s.Requests+c.Requests(), s.In+c.In, s.Out+c.Out
			}
		}
		if open {
			s.Address, s.Connections = l.Addr().String(), l.Connections()
			_, s.Refused = l.Socket().Status()
			counted := l.Status()
			s.TLSFailures = counted.TLSFailures
			if m := counted.Megaki; m != nil {
				s.Megaki = megakiStatus(m)
				st.Sessions.Live += m.Live
				st.Sessions.Parked += m.Parked
			}
		}
		st.Listeners = append(st.Listeners, s)
	}
}

// Sessions returns sessions that have a connection, at most limit of them, those
// with the newest connections first, and how many there are.
func (d *Daemon) Sessions(limit int) (some []admin.Session, all int) {
	if d.phase.Load() == phaseStarting {
		return nil, 0
	}
	for _, l := range d.open() {
		for _, live := range l.LiveSessions() {
			some = append(some, admin.Session{
				Listener: l.config().Name, Token: live.Token.String()[:tokenDigits], Client: live.Client.String(), Key: live.Key.String()[:keyDigits],
				Since: live.Since.UTC(), Resumed: live.Resumed, Messages: live.Messages, Busy: live.Busy,
			})
		}
	}
	slices.SortFunc(some, func(a, b admin.Session) int { return b.Since.Compare(a.Since) })
	all = len(some)
	return some[:min(limit, all)], all
}

// backendStatus returns the state of a backend.
func backendStatus(c *config.Backend, b backend.Backend) admin.Backend {
	st := admin.Backend{Name: c.Name, Up: true, Kind: c.Kind()}
	if p, ok := b.(backend.Pooled); ok {
		st.Pool = poolStatus(c.PHP, p.Status())
		if st.Up = len(st.Pool.Workers) > 0; !st.Up {
			st.Why = cmp.Or(st.Pool.Failure, "its workers are starting")
		}
	}
	if s, ok := b.(backend.Spawner); ok {
		if cgi := s.Spawned(); cgi != nil {
			st.CGI = &admin.CGI{Busy: cgi.Busy, Queued: cgi.Queued, Started: cgi.Started, Crashes: cgi.Crashes, Lingered: cgi.Lingered}
			for _, w := range cgi.Workers {
				st.CGI.PIDs = append(st.CGI.PIDs, w.PID)
			}
		}
	}
	balanced, ok := b.(backend.Balanced)
	if !ok {
		return st
	}
	up := 0
	for _, u := range balanced.Upstreams() {
		s := admin.Upstream{
			Name: u.Name, Weight: u.Weight, Backup: u.Backup, Up: u.Up, Since: utc(u.Since), Active: u.Active, Waiting: u.Waiting, Requests: u.Requests, Failed: u.Failed, Retried: u.Retried,
		}
		if u.Why != nil {
			s.Why = logs.Shorten(u.Why.Error(), maxText)
		}
		if s.Up {
			up++
		} else {
			st.Why = s.Why
		}
		st.Upstreams = append(st.Upstreams, s)
	}
	if st.Up = up > 0; st.Up {
		st.Why = ""
	}
	return st
}

// Bounds of texts in the status, in bytes.
const (
	maxText = 512 // of errors
	maxPath = 200 // of what a worker serves
)

// hangingAfter returns how long a worker may be busy before it is shown as hanging.
func hangingAfter(c *config.PHP) time.Duration { return min(10*time.Second, c.Timeout/3) }

func poolStatus(c *config.PHP, s php.Status) *admin.Pool {
	p := &admin.Pool{
		MinWorkers: c.Workers.Min, MaxWorkers: c.Workers.Max, Starting: s.Starting, Exiting: s.Exiting, Waiting: s.Waiting, Queue: c.Queue, Wait: s.Wait,
		Requests: s.Counts.Requests, ScriptErrors: s.Counts.ScriptErrors, WorkerErrors: s.Counts.WorkerErrors, Timeouts: s.Counts.Timeouts,
		QueueFull: s.Counts.QueueFull, QueueTimeouts: s.Counts.QueueTimeouts, Retried: s.Counts.Retried, Started: s.Counts.Started,
		Ended: make(map[string]int64), Workers: []admin.Worker{},
	}
	if s.Failure != nil {
		p.Failure = logs.Shorten(s.Failure.Error(), maxText)
	}
	for why := range php.NumEndings {
		p.Ended[why.String()] = s.Counts.Ended[why]
	}
	for _, w := range s.Workers {
		state := admin.WorkerIdle
		switch {
		case w.Busy && w.For >= hangingAfter(c):
			state = admin.WorkerHanging
		case w.Busy && w.Draining:
			state = admin.WorkerDraining
		case w.Busy:
			state = admin.WorkerBusy
		}
		p.Workers = append(p.Workers, admin.Worker{
			PID: w.PID, State: state, For: w.For.Seconds(), Age: w.Age.Seconds(), Requests: w.Requests, Memory: w.Memory,
			Route: w.Route, Method: logs.Shorten(w.Method, maxPath), Path: logs.Shorten(w.Path, maxPath),
		})
	}
	return p
}

// utc keeps the zero time.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// resident returns the memory that the process takes, in bytes, 0 if the system
// doesn't report it.
func resident() int64 {
	data, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(bytes.TrimSpace(data)))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
