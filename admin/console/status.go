package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"mkd/admin"
)

// Status writes the state of the daemon as tables.
func Status(out io.Writer, st *admin.Status) {
	summary(out, st)
	for _, why := range problems(st) {
		fmt.Fprintf(out, "! %s\n", clean(why))
	}
	fmt.Fprintln(out)
	listeners(out, st)
	routes(out, st)
	backends(out, st)
	keys(out, st)
	certificates(out, st)
}

func summary(out io.Writer, st *admin.Status) {
	fmt.Fprintf(out, "mkd %s is %s: up %s, configuration %d, process %d\n", clean(st.Version), st.State, span(st.Now.Sub(st.Started).Seconds()), st.Generation, st.PID)
	resumable := ""
	if st.Sessions.Resumable >= 0 {
		resumable = fmt.Sprintf(", %d can be resumed", st.Sessions.Resumable)
	}
	fmt.Fprintf(out, "%s since the start, %d in flight; %s live%s; %s of memory\n",
		count(st.Requests, "request", "requests"), st.InFlight, count(st.Sessions.Live, "session", "sessions"), resumable, size(st.Memory.Resident))
}

// expiresSoon is when the end of a certificate needs attention, as on the status page.
const expiresSoon = 14 * 24 * time.Hour

// problems returns what needs attention.
func problems(st *admin.Status) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, why := range st.NotReady {
		add("not ready: %s", why)
	}
	if st.Maintenance {
		add("maintenance is on: all requests get 503; mkd maintenance off ends it")
	}
	if st.Reloads.LastError != "" {
		add("the last reload was refused: %s", strings.ReplaceAll(st.Reloads.LastError, "\n", "; "))
	}
	for _, b := range st.Backends {
		if !b.Up && st.State != "starting" {
			add("backend %s is down: %s", b.Name, b.Why)
		}
		for _, u := range b.Upstreams {
			if b.Up && !u.Up {
				add("%s: %s is down: %s", b.Name, u.Name, u.Why)
			}
		}
		if b.Pool == nil {
			continue
		}
		for i := range b.Pool.Workers {
			if w := &b.Pool.Workers[i]; w.State == admin.WorkerHanging {
				add("%s: worker %d hangs for %s: %s", b.Name, w.PID, span(w.For), what(w))
			}
		}
		if b.Up && b.Pool.Failure != "" {
			add("%s: a worker can't start: %s", b.Name, b.Pool.Failure)
		}
	}
	if st.Sessions.StoreDown {
		add("sessions can't be resumed: %s", st.Sessions.StoreError)
	}
	for _, c := range st.Certificates {
		switch left := c.NotAfter.Sub(st.Now); {
		case c.Error != "":
			add("certificate %s: %s", c.Name, c.Error)
		case c.NotAfter.IsZero(): // it is being obtained
		case left < 0:
			add("certificate %s has expired", c.Name)
		case left < expiresSoon:
			add("certificate %s expires in %s", c.Name, span(left.Seconds()))
		}
	}
	return all
}

func listeners(out io.Writer, st *admin.Status) {
	t := newTable(out, "LISTENER", "KIND", "ADDRESS", "OPEN", "REQUESTS", "SESSIONS", "HANDSHAKES", "RESUMED", "REFUSED")
	for _, l := range st.Listeners {
		row := []string{l.Name, l.Kind, l.Address, number(l.Connections), number(l.Requests), "", "", "", number(l.Refused)}
		if m := l.Megaki; m != nil {
			refused := l.Refused
			for result, n := range m.Handshakes {
				if result != "done" && result != "gone" { // a load balancer's check is gone, too
					refused += n
				}
			}
			row[5], row[6], row[7], row[8] = number(m.Live), number(m.Handshakes["done"]), number(m.Resumptions["done"]), number(refused)
		}
		t.row(row...)
	}
	t.end()
}

func routes(out io.Writer, st *admin.Status) {
	if len(st.Routes) == 0 {
		return
	}
	fmt.Fprintln(out)
	t := newTable(out, "ROUTE", "BACKEND", "REQ/S", "P50", "P99", "5XX", "REQUESTS", "IN", "OUT")
	for _, r := range st.Routes {
		t.row(r.Name, r.Backend, rate(r.Rate), span(r.P50), span(r.P99), percent(r.Errors), number(r.Requests), size(r.In), size(r.Out))
	}
	t.end()
}

func backends(out io.Writer, st *admin.Status) {
	for i := range st.Backends {
		b := &st.Backends[i]
		fmt.Fprintf(out, "\n%s\n", backendLine(b))
		Workers(out, b)
		if len(b.Upstreams) > 0 {
			t := newTable(out, "  SERVER", "STATE", "SINCE", "IN FLIGHT", "REQUESTS", "FAILED", "RETRIED")
			for _, u := range b.Upstreams {
				state := "up"
				switch {
				case !u.Up:
					state = "down"
				case u.Backup:
					state = "backup"
				}
				t.row("  "+u.Name, state, ago(u.Since, st.Now), number(u.Active+u.Waiting), number(u.Requests), number(u.Failed), number(u.Retried))
			}
			t.end()
		}
	}
}

// backendLine returns one line about a backend.
func backendLine(b *admin.Backend) string {
	state := "up"
	if !b.Up {
		state = "down: " + b.Why
	}
	line := fmt.Sprintf("backend %s (%s), %s", b.Name, b.Kind, state)
	if p := b.Pool; p != nil {
		line += fmt.Sprintf("; %d of %s, %s", len(p.Workers), count(p.MaxWorkers, "worker", "workers"), count(p.Waiting, "request waits", "requests wait"))
		line += ends(p.Ended)
	}
	if c := b.CGI; c != nil {
		line += fmt.Sprintf("; %s of php-cgi, %s", count(len(c.PIDs), "process", "processes"), count(c.Crashes, "crash", "crashes"))
	}
	return clean(line)
}

// ends returns why workers have ended so far, the most frequent reason first; "" if
// none has.
func ends(counts map[string]int64) string {
	reasons := slices.Collect(maps.Keys(counts))
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	var parts []string
	for _, reason := range reasons {
		if n := counts[reason]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", reason, n))
		}
	}
	if parts == nil {
		return ""
	}
	return "; ended: " + strings.Join(parts, ", ")
}

// Workers writes the workers of a backend, if it has any.
func Workers(out io.Writer, b *admin.Backend) {
	if b.Pool == nil {
		return
	}
	t := newTable(out, "  PID", "STATE", "FOR", "AGE", "REQUESTS", "MEMORY", "REQUEST")
	for i := range b.Pool.Workers {
		w := &b.Pool.Workers[i]
		t.row(fmt.Sprintf("  %d", w.PID), w.State, span(w.For), span(w.Age), number(w.Requests), size(w.Memory), what(w))
	}
	t.end()
}

// AllWorkers writes the workers of all backends, and reports false if there are none.
func AllWorkers(out io.Writer, st *admin.Status) (found bool) {
	for i := range st.Backends {
		if b := &st.Backends[i]; b.Pool != nil {
			if found {
				fmt.Fprintln(out)
			}
			found = true
			fmt.Fprintln(out, backendLine(b))
			Workers(out, b)
		}
	}
	return found
}

func keys(out io.Writer, st *admin.Status) {
	t, found := table{}, false
	for _, l := range st.Listeners {
		if l.Megaki == nil {
			continue
		}
		for _, k := range l.Megaki.Keys {
			if !found {
				fmt.Fprintln(out)
				t, found = newTable(out, "SERVER KEY", "LISTENER", "LIVE", "HANDSHAKES", "RESUMED", "LAST SEEN"), true
			}
			id := k.ID
			if k.Retired {
				id += " (retired)"
			}
			t.row(id, l.Name, number(k.Live), number(k.Handshakes), number(k.Resumes), ago(k.LastSeen, st.Now))
		}
	}
	if found {
		t.end()
	}
}

func certificates(out io.Writer, st *admin.Status) {
	if len(st.Certificates) == 0 {
		return
	}
	fmt.Fprintln(out)
	t := newTable(out, "CERTIFICATE", "LISTENER", "FROM", "EXPIRES", "NEXT TRY", "LAST ERROR")
	for _, c := range st.Certificates {
		expires := "–"
		if !c.NotAfter.IsZero() {
			expires = "in " + span(c.NotAfter.Sub(st.Now).Seconds())
			if c.NotAfter.Before(st.Now) {
				expires = "has expired"
			}
		}
		next := ""
		switch wait := c.NextTry.Sub(st.Now); {
		case c.NextTry.IsZero():
		case wait <= 0:
			next = "now"
		default:
			next = "in " + span(wait.Seconds())
		}
		t.row(c.Name, c.Listener, c.Source, expires, next, c.Error)
	}
	t.end()
}

// Sessions writes a list of sessions.
func Sessions(out io.Writer, l *admin.SessionList, st *admin.Status) {
	fmt.Fprint(out, count(l.Live, "session has", "sessions have"), " a connection")
	if n := len(l.Sessions); n < l.Live {
		fmt.Fprintf(out, "; the newest %d are shown", n)
	}
	if st.Sessions.Resumable >= 0 {
		fmt.Fprintf(out, "; the store keeps %d of at most %d that can be resumed", st.Sessions.Resumable, st.Sessions.Capacity)
	}
	fmt.Fprintln(out)
	if len(l.Sessions) == 0 {
		return
	}
	t := newTable(out, "TOKEN", "CLIENT", "LISTENER", "SERVER KEY", "SINCE", "BEGAN BY", "MESSAGES", "STATE")
	for _, s := range l.Sessions {
		began, state := "handshake", "idle"
		if s.Resumed {
			began = "resumption"
		}
		if s.Busy {
			state = "busy"
		}
		t.row(s.Token+"…", s.Client, s.Listener, s.Key, ago(s.Since, st.Now), began, number(s.Messages), state)
	}
	t.end()
}
