package listener

import (
	"context"
	"net"

	"mkd/megaki"
)

// server serves the connections of a listener by the settings of one configuration.
type server interface {
	// serve serves a connection and closes it, or hands it over to somebody who calls
	// done once in the end, and returns true.
	serve(c net.Conn, done func()) (handedOver bool)
	// drain closes each connection after its next response.
	drain()
	// shutdown closes idle connections, and lets requests in flight end within ctx. No
	// new connection comes.
	shutdown(ctx context.Context) error
	// status returns what it has counted. What isn't a count is 0 once it has no
	// connection.
	status() Status
}

// serving is a server, and the number of its connections.
type serving struct {
	server
	connections int // guarded by Listener.mu
}

// begin returns the server of a new connection.
func (l *Listener) begin() *serving {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.connections++
	return l.current
}

// done notes that a connection has ended.
func (l *Listener) done(s *serving) {
	l.mu.Lock()
	s.connections--
	_, earlier := l.earlier[s]
	last := earlier && s.connections == 0
	if last {
		delete(l.earlier, s)
		l.gone.add(s.status())
	}
	l.mu.Unlock()
	if last {
		s.end()
	}
}

// end releases what a server without connections holds.
func (s *serving) end() { s.shutdown(context.Background()) }

// servers returns the servers of all settings.
func (l *Listener) servers() (all []*serving) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil {
		all = append(all, l.current)
	}
	for s := range l.earlier {
		all = append(all, s)
	}
	return all
}

// Status returns the state of the listener, which must be open. A reload takes
// nothing from its counts.
func (l *Listener) Status() (st Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st.add(l.current.status())
	for s := range l.earlier {
		st.add(s.status())
	}
	st.add(l.gone)
	return st
}

// LiveSessions returns the Megaki sessions that have a connection.
func (l *Listener) LiveSessions() (all []megaki.LiveSession) {
	for _, s := range l.servers() {
		if m, ok := s.server.(*megakiListener); ok {
			all = append(all, m.server.LiveSessions(l.Connections())...)
		}
	}
	return all
}

// Connections returns the number of open connections.
func (l *Listener) Connections() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil {
		n = l.current.connections
	}
	for s := range l.earlier {
		n += s.connections
	}
	return n
}

// drainUnasked has connections of earlier settings close after their next response
// where clients are asked for certificates now, or were: they have shown theirs by
// other rules, or none.
func (l *Listener) drainUnasked(now server) {
	for _, s := range l.servers() {
		if s.server != now && (asksClients(s.server) || asksClients(now)) {
			s.drain()
		}
	}
}

func asksClients(s server) bool {
	h, ok := s.(*httpsListener)
	return ok && h.clients != nil
}
