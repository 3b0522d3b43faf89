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
	"os/exec"
	"syscall"
	"time"

	"mkd/megaki"
	"mkd/proxy/listen"
	"mkd/sessions/handover"
	"mkd/systemd"
)

// An upgrade starts the binary on disk, which gets the listening sockets, and two
// connections to the process that started it: one on which it reports, and one on which
// the old process asks the new one for sessions, once they are the new one's. The old
// process stops accepting when the new one has reported that it serves.

// upgradeVariable is the environment variable that has an inheritance, in JSON.
const upgradeVariable = "MKD_UPGRADE"

// inheritance describes the descriptors of a new process, from 3 on: both connections,
// then the sockets.
type inheritance struct {
	Admin   bool // the first socket is the admin socket
	Sockets []inherited
}

type inherited struct{ Listener, Address string }

// report is a message from the new process to the old one.
type report struct {
	What       string // one of the constants below
	Error      string // of a failure
	OtherAdmin bool   // of isReady: it doesn't serve the old process's admin socket
}

// What a new process reports, in this order.
const (
	wantsSessions = "sessions" // the response is a response, and then the sessions
	isReady       = "ready"
	hasFailed     = "failed"
)

// response is a message from the old process to the new one.
type response struct{ Error string }

// upgradeTimeout bounds an upgrade that a signal began: new workers have to boot.
const upgradeTimeout = 10 * time.Minute

// Upgrade implements admin.Control.
func (s *service) Upgrade(ctx context.Context) (pid int, err error) {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errors.New("mkd is stopping")) })()
	pid, err = s.upgrade(ctx)
	if err != nil {
		s.logs.Main.Sugar().Errorw("the upgrade failed, and this process serves on", "error", err)
		return 0, err
	}
	s.logs.Main.Sugar().Infow("upgraded: another process serves; this one ends after its last connection", "pid", pid, "took", time.Since(began))
	return pid, nil
}

func (s *service) upgrade(ctx context.Context) (pid int, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.upgraded.Load() {
		return 0, errors.New("another process has taken over already")
	}
	if err := s.old.wait(ctx); err != nil { // one upgrade at a time
		return 0, err
	}
	next, err := s.startSuccessor()
	if err != nil {
		return 0, err
	}
	if err := next.await(ctx, s.daemon.GiveUpSessions); err != nil {
		return 0, err
	}
	s.upgraded.Store(true)
	if s.socket != nil { // the new process serves it, or its file goes
		s.socket.SetUnlinkOnClose(next.otherAdmin)
		s.socket.Close()
	}
	for _, l := range s.adminTCP {
		l.Close()
	}
	s.manager.MainPID(next.cmd.Process.Pid)
	next.enc.Encode(response{})
	go func() {
		s.daemon.Drain()
		s.stop()
	}()
	return next.cmd.Process.Pid, nil
}

// successor is a process that takes over.
type successor struct {
	cmd      *exec.Cmd
	ended    chan error // the result of the process
	reports  net.Conn
	sessions net.Conn
	enc      *gob.Encoder
	dec      *gob.Decoder

	otherAdmin bool // it doesn't serve this process's admin socket; known once it is ready
}

// startSuccessor starts the binary on disk.
func (s *service) startSuccessor() (_ *successor, err error) {
	n := &successor{ended: make(chan error, 1)}
	var files []*os.File // of the new process
	defer func() {
		for _, f := range files {
			f.Close()
		}
		if err != nil {
			n.close()
		}
	}()
	for _, end := range []*net.Conn{&n.reports, &n.sessions} {
		conn, f, err := socketPair()
		if err != nil {
			return nil, err
		}
		*end, files = conn, append(files, f)
	}
	var in inheritance
	if s.socket != nil {
		f, err := listen.Dup(s.socket, "admin")
		if err != nil {
			return nil, fmt.Errorf("admin socket: %w", err)
		}
		in.Admin, files = true, append(files, f)
	}
	sockets, err := s.daemon.Sockets()
	if err != nil {
		return nil, err
	}
	for _, sock := range sockets {
		in.Sockets, files = append(in.Sockets, inherited{sock.Listener, sock.Address}), append(files, sock.File)
	}
	for _, l := range s.adminTCP {
		f, err := listen.Dup(l.Socket, l.address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.key, err)
		}
		in.Sockets, files = append(in.Sockets, inherited{l.key, l.address}), append(files, f)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	n.cmd = exec.Command(os.Args[0], os.Args[1:]...)
	n.cmd.Dir = s.dir
	n.cmd.Stdin, n.cmd.Stdout, n.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	n.cmd.Env = append(systemd.Environ(os.Environ()), upgradeVariable+"="+string(text))
	n.cmd.ExtraFiles = files
	n.enc, n.dec = gob.NewEncoder(n.reports), gob.NewDecoder(n.reports)
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", os.Args[0], err)
	}
	go func() {
		n.ended <- n.cmd.Wait()
		n.reports.SetReadDeadline(time.Now().Add(time.Second)) // for its last words
	}()
	return n, nil
}

func (n *successor) close() {
	for _, c := range []net.Conn{n.reports, n.sessions} {
		if c != nil {
			c.Close()
		}
	}
}

// giveUp is (*proxy.Daemon).GiveUpSessions.
type giveUp func() (inMemory *megaki.MemoryStore, end func(owner megaki.SessionStore) error, err error)

// await serves the reports of a new process until it is ready. After an error the new
// process has ended, and the daemon has its sessions.
func (n *successor) await(ctx context.Context, giveUp giveUp) error {
	stop := context.AfterFunc(ctx, func() { n.reports.Close() })
	end, err := n.converse(giveUp)
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		n.close()
		n.cmd.Process.Kill()
		if end != nil {
			err = errors.Join(err, end(nil))
		}
		return err
	}
	return end(handover.NewRemote(n.sessions))
}

// moveTimeout bounds the time from the new process's request for the sessions until it
// serves: meanwhile none can be resumed. It may have to compact a large session file.
const moveTimeout = time.Minute

// converse returns when a new process has reported that it is ready, or that it has
// failed. end is nil if the daemon still has its sessions.
func (n *successor) converse(giveUp giveUp) (end func(owner megaki.SessionStore) error, err error) {
	for {
		var r report
		if err := n.dec.Decode(&r); err != nil {
			return end, n.silent(err)
		}
		switch r.What {
		case isReady:
			if end == nil {
				return nil, errors.New("the new process took no sessions over: is it an mkd of another version?")
			}
			n.otherAdmin = r.OtherAdmin
			return end, n.reports.SetDeadline(time.Time{})
		case hasFailed:
			return end, fmt.Errorf("the new process can't serve: %s", r.Error)
		case wantsSessions:
			if end != nil {
				return end, errors.New("the new process asks for the sessions twice")
			}
			n.reports.SetDeadline(time.Now().Add(moveTimeout))
			inMemory, e, err := giveUp()
			end = e
			if err != nil {
				return end, err
			}
			if err := n.enc.Encode(response{}); err != nil {
				return end, err
			}
			if err := handover.Send(n.enc, inMemory); err != nil {
				return end, err
			}
		}
	}
}

// silent returns why a new process reports nothing more.
func (n *successor) silent(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the new process: %w", err)
	}
	select {
	case ended := <-n.ended:
		return fmt.Errorf("the new process has ended before it was ready (%s): see the log", exitText(ended))
	case <-time.After(exitWait):
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the new process wasn't ready %s after it had asked for the sessions", moveTimeout)
	}
	return errors.New("the new process has closed its connection before it was ready")
}

// exitWait is how long a process may take to end after it has closed its connection.
const exitWait = 5 * time.Second

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// socketPair returns a connection, and its other end for another process.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	own, other := os.NewFile(uintptr(fds[0]), "upgrade"), os.NewFile(uintptr(fds[1]), "upgrade")
	defer own.Close()
	conn, err := net.FileConn(own)
	if err != nil {
		other.Close()
		return nil, nil, err
	}
	return conn, other, nil
}
