package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

// sender sends single messages, each on a connection of its own. They share a
// session.
type sender struct {
	server      serverFlags
	sessionFile string
	timeout     time.Duration

	cfg   *megaki.Config
	began func(c *megaki.Conn) // if set, called before a message is sent
}

// register adds the flags; short is whether --server and --key have letters.
func (s *sender) register(cmd *cobra.Command, short bool) {
	s.server.register(cmd, short)
	cmd.Flags().StringVar(&s.sessionFile, "session", "", "`file` to keep the session in, and to resume it from")
	cmd.Flags().DurationVar(&s.timeout, "timeout", time.Minute, "time for the whole command")
}

// prepare reads the key and the session. Warnings go to w.
func (s *sender) prepare(w io.Writer) (err error) {
	if s.timeout <= 0 {
		return usage("--timeout %s: want more than 0", s.timeout)
	}
	if s.cfg, err = s.server.config(w); err != nil {
		return err
	}
	if s.sessionFile != "" {
		s.cfg.Session, err = readSession(s.sessionFile)
	}
	return err
}

// bounded returns a context that ends after --timeout.
func (s *sender) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("the server took longer than --timeout, %s", s.timeout))
}

// send sends a message on a connection of its own, and returns the response.
func (s *sender) send(ctx context.Context, message []byte) ([]byte, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if s.began != nil {
		s.began(conn)
	}
	return conn.RoundTrip(ctx, message)
}

// connect opens a connection that resumes the session, if there is one, and
// keeps its session for the next.
func (s *sender) connect(ctx context.Context) (*megaki.Conn, error) {
	conn, err := megaki.Dial(ctx, "tcp", s.server.address, s.cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", s.server.address, context.Cause(ctx))
		}
		return nil, err
	}
	session := conn.Session()
	s.cfg.Session = &session
	if s.sessionFile != "" { // before the message: the old key is of no use now
		if err := writeSession(s.sessionFile, &session); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// readSession returns nil if the file doesn't exist yet.
func readSession(path string) (*megaki.Session, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	session := new(megaki.Session)
	if err := session.UnmarshalBinary(data); err != nil {
		return nil, fmt.Errorf("%s isn't a session file: %w; remove it to start anew", path, err)
	}
	return session, nil
}

// writeSession replaces the file in one step.
func writeSession(path string, s *megaki.Session) error {
	data, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".sazukari-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing the session: %w", err)
	}
	return nil
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
