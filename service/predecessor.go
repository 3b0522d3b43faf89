package service

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"mkd/megaki"
	"mkd/proxy"
	"mkd/sessions/handover"
)

// predecessor is the process that this one takes over from. A nil one is none.
type predecessor struct {
	reports, sessions net.Conn
	enc               *gob.Encoder
	dec               *gob.Decoder
	admin             *os.File // nil: it had no admin socket
	adminTaken        bool     // this process serves that socket
	sockets           []proxy.Socket
	ended             chan struct{} // closed when it has ended
}

// inherit returns the process that started this one for an upgrade, nil if none did.
func inherit() (*predecessor, error) {
	text, ok := os.LookupEnv(upgradeVariable)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(upgradeVariable) // workers don't inherit it
	var in inheritance
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, fmt.Errorf("%s isn't for you to set: %w", upgradeVariable, err)
	}
	next := uintptr(3)
	file := func(name string) *os.File {
		syscall.CloseOnExec(int(next)) // nor the descriptors
		next++
		return os.NewFile(next-1, name)
	}
	p := &predecessor{ended: make(chan struct{})}
	for _, conn := range []*net.Conn{&p.reports, &p.sessions} {
		f := file("upgrade")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("a connection to the old process: %w", err)
		}
		*conn = c
	}
	p.enc, p.dec = gob.NewEncoder(p.reports), gob.NewDecoder(p.reports)
	if in.Admin {
		p.admin = file("admin")
	}
	for _, s := range in.Sockets {
		p.sockets = append(p.sockets, proxy.Socket{Listener: s.Listener, Address: s.Address, File: file(s.Address)})
	}
	return p, nil
}

// wait waits until the process has ended.
func (p *predecessor) wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the process before this one still has connections: %w", context.Cause(ctx))
	}
}

// socket returns one of its sockets, nil if it has none of the name and the address.
func (p *predecessor) socket(listener, address string) *os.File {
	if p != nil {
		for _, s := range p.sockets {
			if s.Listener == listener && s.Address == address {
				return s.File
			}
		}
	}
	return nil
}

// takeSessions asks the process to give its sessions up.
func (p *predecessor) takeSessions() (receive func(megaki.SessionStore) error, err error) {
	if err := p.ask(report{What: wantsSessions}); err != nil {
		return nil, err
	}
	return func(store megaki.SessionStore) error {
		_, err := handover.Receive(p.dec, store)
		return err
	}, nil
}

// ready reports that this process serves, and has a store that the old one may use.
func (p *predecessor) ready(store megaki.SessionStore) error {
	if err := p.ask(report{What: isReady, OtherAdmin: !p.adminTaken}); err != nil {
		return err
	}
	go handover.Serve(p.sessions, store) // until the old process ends
	go func() {
		defer close(p.ended)
		io.Copy(io.Discard, p.reports)
		p.reports.Close()
	}()
	return nil
}

// ask sends a report, and receives the response.
func (p *predecessor) ask(what report) error {
	var r response
	err := p.enc.Encode(what)
	if err == nil {
		err = p.dec.Decode(&r)
	}
	if err != nil {
		return fmt.Errorf("the process that began the upgrade has ended, or gave it up: %w", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// failed reports why this process can't serve.
func (p *predecessor) failed(err error) {
	if p != nil {
		p.enc.Encode(report{What: hasFailed, Error: err.Error()})
	}
}
