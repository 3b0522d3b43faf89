package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func sendCommand() *cobra.Command {
	var s sender
	cmd := &cobra.Command{
		Use:   "send --server HOST:PORT --key FILE [flags] [DATA]",
		Short: "Send one message, and print the response",
		Long: `Send one message, and write the response to standard output, byte for byte.
Without DATA the message is read from standard input.

With --session the session is kept in a file, and resumed the next time, which
saves the handshake. The file is a secret: whoever has it can act as this client.`,
		Args: cobra.MaximumNArgs(1),
	}
	s.register(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.prepare(cmd.ErrOrStderr()); err != nil {
			return err
		}
		message, err := messageOf(args, cmd.InOrStdin(), s.cfg.MaxMessage)
		if err != nil {
			return err
		}
		ctx, cancel := s.bounded(cmd.Context())
		defer cancel()
		response, err := s.send(ctx, message)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(response)
		if err == nil && isTerminal(os.Stdout) && len(response) > 0 && response[len(response)-1] != '\n' {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		return err
	}
	return cmd
}

func messageOf(args []string, in io.Reader, limit int) ([]byte, error) {
	if len(args) > 0 {
		if args[0] == "" {
			return nil, usage("the message is empty: a message has at least one byte")
		}
		return []byte(args[0]), nil
	}
	data, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the message from standard input: %w", err)
	case len(data) == 0:
		return nil, errors.New("standard input is empty: a message has at least one byte")
	case len(data) > limit:
		return nil, fmt.Errorf("standard input is longer than --max-message, %d bytes", limit)
	}
	return data, nil
}
