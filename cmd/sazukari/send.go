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

func sendCommand() *cobra.Command {
	var server serverFlags
	var sessionFile string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "send --server HOST:PORT --key FILE [flags] [DATA]",
		Short: "Send one message, and print the answer",
		Long: `Send one message, and write the answer to standard output, byte for byte.
Without DATA the message is read from standard input.

With --session the session is kept in a file, and resumed the next time, which
saves the handshake. The file is a secret: who has it can speak as this client.`,
		Args: cobra.MaximumNArgs(1),
	}
	server.register(cmd)
	cmd.Flags().StringVar(&sessionFile, "session", "", "`file` to keep the session in, and to resume it from")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "time for everything")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := server.config(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		message, err := messageOf(args, cmd.InOrStdin(), cfg.MaxMessage)
		if err != nil {
			return err
		}
		if sessionFile != "" {
			if cfg.Session, err = readSession(sessionFile); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		conn, err := megaki.Dial(ctx, "tcp", server.address, cfg)
		if err != nil {
			return err
		}
		defer conn.Close()
		if sessionFile != "" { // before the message: the old key is spent now
			session := conn.Session()
			if err := writeSession(sessionFile, &session); err != nil {
				return err
			}
		}
		answer, err := conn.RoundTrip(ctx, message)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(answer)
		if err == nil && isTerminal(os.Stdout) && len(answer) > 0 && answer[len(answer)-1] != '\n' {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		return err
	}
	return cmd
}

func messageOf(args []string, in io.Reader, limit int) ([]byte, error) {
	if len(args) > 0 {
		if args[0] == "" {
			return nil, errors.New("the message is empty: Megaki has no empty messages")
		}
		return []byte(args[0]), nil
	}
	data, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the message from standard input: %w", err)
	case len(data) == 0:
		return nil, errors.New("standard input is empty: Megaki has no empty messages")
	case len(data) > limit:
		return nil, fmt.Errorf("standard input is longer than --max-message, %d bytes", limit)
	}
	return data, nil
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

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
