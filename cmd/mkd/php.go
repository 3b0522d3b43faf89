package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"mkd/php"
)

// maxRequestFile bounds what mkd php reads, in bytes.
const maxRequestFile = 1 << 30

func phpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "php SCRIPT",
		Short: "Run a userspace script on one request",
		Long: `Start a PHP worker with a userspace script, send it one request, print the
response, and end it: for tests, CI and debuggers. No configuration is needed.

The request is a GET of / unless --request names a file with one, or - for standard
input: an HTTP/1 request, whose lines may end as your editor ends them, or any other
message, which goes to on_handle.

  mkd php app.php
  printf 'POST /form HTTP/1.1\nHost: example.org\n\n{"tea":1}' | mkd php app.php --request -

What the script prints to its log goes to standard error. The exit code is 1 if the
script doesn't load or fails; a response with any status is a success.`,
		Args: cobra.ExactArgs(1),
	}
	request := cmd.Flags().StringP("request", "r", "", "`file` with the request; -: standard input")
	binary := cmd.Flags().String("php", "php", "the PHP `binary`")
	ini := cmd.Flags().StringToStringP("ini", "d", nil, "PHP settings, as `NAME=VALUE`")
	dev := cmd.Flags().Bool("dev", false, "show exceptions in the response, and bring dump() and dd(), as dev: true does")
	timeout := cmd.Flags().Duration("timeout", php.DefaultTimeout, "how long the script may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := os.Stat(args[0]); err != nil {
			return err // PHP's own error is longer
		}
		message := []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if *request != "" {
			var err error
			if message, err = readRequest(cmd.InOrStdin(), *request); err != nil {
				return err
			}
		}
		return php.RunOnce(cmd.Context(), php.Options{
			Script:  args[0],
			PHP:     *binary,
			Ini:     *ini,
			Dev:     *dev,
			Timeout: *timeout,
			Logger:  slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{ReplaceAttr: withoutTime})),
		}, message, cmd.OutOrStdout())
	}
	return cmd
}

// readRequest reads a file, or standard input.
func readRequest(stdin io.Reader, path string) ([]byte, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	message, err := io.ReadAll(io.LimitReader(stdin, maxRequestFile+1))
	if err == nil && len(message) > maxRequestFile {
		err = fmt.Errorf("%s: the request has more than %d bytes", path, maxRequestFile)
	}
	return message, err
}

// withoutTime leaves the time out of log lines, which are read at once.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
