package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki/conformance"
)

// conformanceRun is the command: it tests a client that is another program.
type conformanceRun struct {
	listen    string
	scenarios []string
	patience  time.Duration
	list      bool
}

func conformanceCommand() *cobra.Command {
	var c conformanceRun
	cmd := &cobra.Command{
		Use:   "conformance [flags] -- PROGRAM [ARGUMENT...]",
		Short: "Test a client of Megaki in any language",
		Long: `Play a server to the client under test: one that does everything right, and one
that does each thing wrong. For each scenario the program is started anew, as

  PROGRAM [ARGUMENT...] HOST PORT KEY SESSION TIMEOUT

and judged by what it sends, what it returns, and how it ends. It is a few lines
around the client's library:

  KEY      file with the server's public key in PEM
  SESSION  file for the session: resumed from if it exists and isn't empty, written
           after each response and before the program ends, for its owner alone
  TIMEOUT  milliseconds for a handshake or a resumption, and for a message with
           its response

Standard input has messages, each after its length in 4 bytes, big-endian. The
program sends each, and writes the response to standard output in the same form,
before it reads the next. At the end of its input it ends with 0. If the connection
was closed before a message was sent, it connects again and resumes the session. If
a message fails, it ends with a code, which is the error's number in libsazukari:

   2  incompatible versions       8  connection failed, closed, or timed out
   3  service unavailable        10  server key blacklisted
   4  unknown refusal            11  message too long; nothing was sent
   6  protocol error             12  response too long

docs/clients.md describes how to write a client; --list shows what each scenario is
about.

The exit code is 1 if the client fails a scenario.`,
		Example: `  sazukari conformance -- python3 clients/python/tests/conformance.py
  sazukari conformance --scenario 'resume*' -- ./my-client
  sazukari conformance --list`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmp.Or(cmd.Context(), context.Background()), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return c.run(ctx, args, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&c.listen, "listen", "l", "127.0.0.1:0", "`host:port` to listen on; port 0 chooses one")
	f.StringSliceVar(&c.scenarios, "scenario", nil, "`name` of a scenario to play, or a pattern such as 'resume*'; may be repeated (default: all)")
	f.DurationVar(&c.patience, "patience", 30*time.Second, "time for each step of the program")
	f.BoolVar(&c.list, "list", false, "list the scenarios, and end")
	return cmd
}

func (c *conformanceRun) run(ctx context.Context, program []string, out io.Writer) error {
	scenarios := conformance.Scenarios()
	if len(c.scenarios) > 0 {
		var err error
		if scenarios, err = conformance.Find(c.scenarios...); err != nil {
			return usage("--scenario: %v; see --list", err)
		}
	}
	switch {
	case c.list:
		for _, s := range scenarios {
			fmt.Fprintf(out, "%-26s %s\n", s.Name, s.About)
		}
		return nil
	case len(program) == 0:
		return usage("no program: name the client under test, with its arguments, after --")
	case c.patience <= 0:
		return usage("--patience %s: want more than 0", c.patience)
	}
	if _, err := exec.LookPath(program[0]); err != nil {
		return err
	}
	results, err := conformance.Run(ctx, conformance.Command(program), conformance.Options{Address: c.listen, Patience: c.patience, Scenarios: scenarios,
		Report: func(r conformance.Result) {
			if r.Err == nil {
				fmt.Fprintf(out, "ok    %s\n", r.Scenario.Name)
				return
			}
			fmt.Fprintf(out, "FAIL  %s: %v\n      %s\n", r.Scenario.Name, r.Err, r.Scenario.About)
		}})
	if err != nil {
		return err
	}
	if n := conformance.Failed(results); n > 0 {
		return fmt.Errorf("the client fails %d of %d scenarios", n, len(results))
	}
	_, err = fmt.Fprintf(out, "the client passes all %d scenarios\n", len(results))
	return err
}
