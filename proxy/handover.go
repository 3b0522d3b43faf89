package proxy

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"mkd/config"
	"mkd/megaki"
)

// Socket is a listening socket that was opened before the daemon started.
type Socket struct {
	Listener string // the name of its listener
	Address  string // as it is configured; "": the listener has it, whatever its address
	File     *os.File

	taken bool // by a listener
}

// Inherit gives the daemon sockets that systemd or the process that it replaces has
// opened. It is called before Start.
func (d *Daemon) Inherit(sockets []Socket) { d.inherited = sockets }

// inheritedBy returns the socket for a listener, nil if there is none.
func (d *Daemon) inheritedBy(l *config.Listener) *os.File {
	for i := range d.inherited {
		s := &d.inherited[i]
		fits := s.Address == l.Address()
		if s.Address == "" || isAnyPort(s.Address) {
			fits = s.Listener == l.Name && (s.Address == "" || fits)
		}
		if fits {
			s.taken = true
			return s.File
		}
	}
	return nil
}

// closeInherited closes the files of sockets, which listeners have taken over or don't
// want.
func (d *Daemon) closeInherited() {
	for _, s := range d.inherited {
		if s.Address == "" && !s.taken {
			d.logs.Main.Sugar().Warnw("a socket of systemd isn't used: no listener has its name; set FileDescriptorName= to the name of one", "name", s.Listener)
		}
		s.File.Close()
	}
	d.inherited = nil
}

// Sockets returns the sockets of all listeners. The caller closes the files.
func (d *Daemon) Sockets() (all []Socket, err error) {
	for _, l := range d.open() {
		f, err := l.File()
		if err != nil {
			for _, s := range all {
				s.File.Close()
			}
			return nil, fmt.Errorf("listener %s: %w", l.config().Name, err)
		}
		all = append(all, Socket{Listener: l.config().Name, Address: l.config().Address(), File: f})
	}
	return all, nil
}

// TakeOver has Start take the sessions of another process over, after all else. take
// asks that process to give them up; its result puts those that were in memory into a
// store. It is called before Start.
func (d *Daemon) TakeOver(take func() (receive func(megaki.SessionStore) error, err error)) {
	d.take = take
}

// openSessions opens the store of sessions, after another process has given it up.
func (d *Daemon) openSessions() error {
	receive := func(megaki.SessionStore) error { return nil }
	if d.take != nil {
		var err error
		if receive, err = d.take(); err != nil {
			return err
		}
	}
	if err := at(d.current.Load().cfg.Position("sessions"), d.sessions.open()); err != nil {
		return err
	}
	return receive(d.sessions.Store())
}

// SessionStore returns the store of sessions.
func (d *Daemon) SessionStore() megaki.SessionStore { return d.sessions }

// GiveUpSessions holds up all operations on sessions, and gives the store up: those in
// memory are returned, a file is closed. What is kept elsewhere stays as it is. end is
// called with the store of the new owner, or with nil if there is none: then the daemon
// has its store again.
func (d *Daemon) GiveUpSessions() (inMemory *megaki.MemoryStore, end func(owner megaki.SessionStore) error, err error) {
	s := d.sessions
	if s.kind == "redis" {
		return nil, func(megaki.SessionStore) error { return nil }, nil
	}
	thaw := s.Freeze()
	if s.kind == "memory" {
		return s.memory, func(owner megaki.SessionStore) error { thaw(owner); return nil }, nil
	}
	return nil, func(owner megaki.SessionStore) (err error) {
		if owner == nil {
			owner, err = s.reopen(&d.current.Load().cfg.Sessions, d.logs)
		}
		thaw(owner)
		return err
	}, s.giveUp()
}

// Drain stops accepting, because another process serves the sockets. Clients may
// still send on their connections, each of which closes after its next response. It
// returns when none is open, or when shutdown_timeout is over; then Shutdown waits no
// more.
func (d *Daemon) Drain() {
	d.changing.Lock()
	d.stopped = true // for Reload
	d.changing.Unlock()
	until := time.Now().Add(d.current.Load().cfg.ShutdownTimeout)
	d.until.Store(&until)
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range d.open() {
		wg.Go(func() { l.Drain(ctx) })
	}
	wg.Wait()
}
