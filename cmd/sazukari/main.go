// Command sazukari is the client: it sends messages to a Megaki server, and
// measures one.
package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

// version is set by the linker.
var version = "unknown"

// usageError is the error of a wrong use of a command.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// quietError is an error whose message is not printed.
type quietError struct{ error }

func (e quietError) Unwrap() error { return e.error }

// rootCommand returns the command line.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sazukari",
		Short: "A client of Megaki servers",
		Long: `sazukari speaks Megaki to a server such as mkd. It knows the server by its
public key, which 'mkd keygen' makes.

  sazukari send --server 127.0.0.1:6363 --key server.key.pub hello
  sazukari get --server 127.0.0.1:6363 --key server.key.pub -i /index.html
  sazukari forward --server 127.0.0.1:6363 --key server.key.pub

'sazukari doctor' finds out why a server can't be used.`,
		Version:           version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate(versionText())
	root.AddCommand(sendCommand(), getCommand(), forwardCommand(), shellCommand(), doctorCommand(), keysCommand(), conformanceCommand(), benchCommand(), versionCommand())
	return root
}

// run returns the exit code: 0, 1 it failed, 2 wrong usage.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	running := false
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	for _, c := range root.Commands() {
		work := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			running = true
			return work(cmd, args)
		}
	}
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	if quiet := (quietError{}); !errors.As(err, &quiet) {
		fmt.Fprintf(errOut, "sazukari: %v\n", err)
	}
	if wrong := (usageError{}); !running || errors.As(err, &wrong) {
		fmt.Fprintf(errOut, "See '%s --help'.\n", cmd.CommandPath())
		return 2
	}
	return 1
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), versionText())
			return err
		},
	}
}

func versionText() string {
	return fmt.Sprintf("sazukari %s, %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// serverFlags are the flags about the server, which every command has.
type serverFlags struct {
	address, key string
	maxMessage   int
}

// register adds the flags; short is whether --server and --key have letters.
func (f *serverFlags) register(cmd *cobra.Command, short bool) {
	s, k := "", ""
	if short {
		s, k = "s", "k"
	}
	cmd.Flags().StringVarP(&f.address, "server", s, "", "`host:port` of the server")
	cmd.Flags().StringVarP(&f.key, "key", k, "", "public key `file` of the server: PEM, or the 260 bytes of libsazukari")
	cmd.Flags().IntVar(&f.maxMessage, "max-message", megaki.DefaultMaxMessage, "largest message, both ways, in `bytes`; the server has a limit of its own")
	for _, name := range []string{"server", "key"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

// config reads the key. Warnings go to w.
func (f *serverFlags) config(w io.Writer) (*megaki.Config, error) {
	if f.maxMessage < 1 || f.maxMessage > megaki.MaxMessageLimit {
		return nil, usage("--max-message %d: want 1 to %d", f.maxMessage, megaki.MaxMessageLimit)
	}
	data, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("reading the server's public key: %w", err)
	}
	key, err := publicKey(data, f.key, w)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.key, err)
	}
	return &megaki.Config{ServerKey: key, MaxMessage: f.maxMessage}, nil
}

func publicKey(data []byte, path string, w io.Writer) (*rsa.PublicKey, error) {
	key, err := megaki.ParsePublicKey(data)
	if err == nil {
		return key, nil
	}
	if private, privateErr := megaki.ParsePrivateKey(data, nil); privateErr == nil {
		fmt.Fprintf(w, "sazukari: warning: %s is a private key, which only the server should have; a client needs the public one (.pub)\n", path)
		return &private.PublicKey, nil
	}
	return nil, err
}
