package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

const shellHelp = `A line is a message. Lines that begin with a backslash are commands:
  \get URL      send an HTTP request, and print the response with its head
  \file NAME    send the bytes of a file
  \session      print the token of the session
  \close        close the connection; the next message resumes the session
  \help, \quit
  \\text        send \text
`

// shown is how much of a binary response is printed.
const shown = 1024

// shell is the command: it sends what a user types.
type shell struct {
	sender
	out, log    io.Writer
	interactive bool
	conn        *megaki.Conn
	failed      error
}

func shellCommand() *cobra.Command {
	var s shell
	cmd := &cobra.Command{
		Use:   "shell --server HOST:PORT --key FILE [flags]",
		Short: "Type messages, and see the responses",
		Long: `Read lines, send each as a message, and print the response. After it comes what
it took: its length, the time, and whether a connection had to be made for it.

  $ sazukari shell --server 127.0.0.1:6363 --key server.key.pub
  > hello
  You said 'hello'
  [16 bytes, 610µs, a new session in 48.12ms]
  > \get /index.html

` + shellHelp + `
A response that isn't printable text is shown in hexadecimal, at most 1,024 bytes of
it. What isn't the response goes to standard error. If standard input isn't a
terminal, the exit code is 1 if a message failed.

With --session the session is kept in a file, and resumed the next time.`,
		Args: cobra.NoArgs,
	}
	s.server.register(cmd, true)
	cmd.Flags().StringVar(&s.sessionFile, "session", "", "`file` to keep the session in, and to resume it from")
	cmd.Flags().DurationVar(&s.timeout, "timeout", time.Minute, "time for a message and its response")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s.out, s.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		s.interactive = cmd.InOrStdin() == os.Stdin && isTerminal(os.Stdin)
		return s.run(cmp.Or(cmd.Context(), context.Background()), cmd.InOrStdin())
	}
	return cmd
}

func (s *shell) run(ctx context.Context, in io.Reader) error {
	if err := s.prepare(s.log); err != nil {
		return err
	}
	defer s.close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, s.cfg.MaxMessage+2)
	if s.interactive {
		fmt.Fprintf(s.log, "%s: type messages; \\help lists commands, Ctrl-D ends.\n", s.server.address)
	}
	for {
		if s.interactive {
			fmt.Fprint(s.log, "> ")
		}
		if !lines.Scan() {
			break
		}
		more, err := s.line(ctx, lines.Text())
		if err != nil {
			fmt.Fprintf(s.log, "sazukari: %v\n", err)
			s.failed = err
		}
		if !more {
			break
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("a line is longer than --max-message, %d bytes", s.cfg.MaxMessage)
	} else if err != nil {
		return err
	}
	if s.failed != nil && !s.interactive {
		return quietError{s.failed}
	}
	return nil
}

// line runs a line. It reports whether to read another one.
func (s *shell) line(ctx context.Context, line string) (more bool, err error) {
	if line == "" {
		return true, nil
	}
	text, isCommand := strings.CutPrefix(line, `\`)
	if !isCommand || strings.HasPrefix(text, `\`) {
		return true, s.message(ctx, []byte(text))
	}
	name, argument, _ := strings.Cut(strings.TrimSpace(text), " ")
	argument = strings.TrimSpace(argument)
	switch {
	case name == "quit":
		return false, nil
	case name == "help":
		_, err = io.WriteString(s.log, shellHelp)
	case name == "close":
		s.close()
	case name == "session":
		if s.cfg.Session == nil {
			return true, errors.New("there is no session yet")
		}
		_, err = fmt.Fprintln(s.out, s.cfg.Session.Token)
	case name == "file" && argument != "":
		var message []byte
		if message, err = (&files{left: s.cfg.MaxMessage, limit: s.cfg.MaxMessage}).read(argument); err == nil {
			err = s.message(ctx, message)
		}
	case name == "get" && argument != "":
		r := request{method: "GET"}
		if r.target, err = parseTarget(argument, s.server.address, false); err == nil {
			message, _ := r.message()
			err = s.message(ctx, message)
		}
	default:
		err = fmt.Errorf(`\%s: no such command, or its argument is missing; \help lists them`, name)
	}
	return true, err
}

// message sends a message, and prints the response and what it took.
func (s *shell) message(ctx context.Context, message []byte) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	for {
		kept, how := s.conn != nil, ""
		if !kept {
			start := time.Now()
			var err error
			if s.conn, err = s.connect(ctx); err != nil {
				s.conn = nil
				return err
			}
			how = fmt.Sprintf(", a new session in %s", since(start))
			if s.conn.Resumed() {
				how = fmt.Sprintf(", the session is resumed in %s", since(start))
			}
		}
		start := time.Now()
		response, err := s.conn.RoundTrip(ctx, message)
		took := since(start)
		switch {
		case err == nil:
			_, err = io.WriteString(s.out, printable(response))
			fmt.Fprintf(s.log, "[%d bytes, %s%s]\n", len(response), took, how)
			return err
		case kept && (errors.Is(err, megaki.ErrStale) || errors.Is(err, megaki.ErrKeyUsed)):
			s.close() // nothing was sent
		default:
			s.close()
			return err
		}
	}
}

func (s *shell) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// printable returns a response as a terminal may print it: text with a line end,
// or hexadecimal.
func printable(p []byte) string {
	text := string(p)
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' }
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(strings.ReplaceAll(text, "\r\n", "\n"), control):
		out := hex.Dump(p[:min(len(p), shown)])
		if len(p) > shown {
			out += fmt.Sprintf("and %d bytes more\n", len(p)-shown)
		}
		return out
	case text == "" || strings.HasSuffix(text, "\n"):
		return text
	}
	return text + "\n"
}
