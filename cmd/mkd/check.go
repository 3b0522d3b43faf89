package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mkd/service"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, and change nothing",
		Long: `Check the configuration: its syntax, the files that it names, the keys and
certificates, and whether it fits the limits of this machine. One worker of each
PHP script is started and ended; php -l checks its syntax before. Servers that can't
be reached are warnings.

Each finding is a line on standard error that begins with error: or warning:, and,
where there is one, its place as FILE:LINE:COLUMN. All are reported at once.

The exit code is 0 if there is no error, 1 if there is one, and with --strict 3 if
there are only warnings.`,
		Args: noArgs,
	}
	path := configFlag(cmd)
	noBoot := cmd.Flags().Bool("no-boot", false, "start no PHP worker")
	strict := cmd.Flags().Bool("strict", false, "exit 3 if there are warnings")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r := service.Check(cmd.Context(), *path, !*noBoot)
		printFindings(cmd.ErrOrStderr(), "warning", r.Warnings)
		printFindings(cmd.ErrOrStderr(), "error", r.Errors)
		if len(r.Errors) > 0 {
			return exitError{1, fmt.Sprintf("%s has %s", *path, count(len(r.Errors), "error"))}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %s, %s, %s\n", *path,
			count(len(r.Config.Listeners), "listener"), count(len(r.Config.Backends), "backend"), count(len(r.Config.Routes), "route"))
		if *strict && len(r.Warnings) > 0 {
			return exitError{3, fmt.Sprintf("%s has %s", *path, count(len(r.Warnings), "warning"))}
		}
		return nil
	}
	return cmd
}

// printFindings prints findings, each line of which is marked.
func printFindings(w io.Writer, kind string, findings []string) {
	for _, f := range findings {
		fmt.Fprintf(w, "%s: %s\n", kind, strings.ReplaceAll(f, "\n", "\n  "))
	}
}

// exitError is an error with the exit code that it leads to.
type exitError struct {
	code    int
	message string
}

func (e exitError) Error() string { return e.message }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
