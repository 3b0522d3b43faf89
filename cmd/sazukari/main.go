// Command sazukari is the client: it sends messages to a Megaki server, and
// measures one.
package main

import (
	"crypto/rsa"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit code: 0, 1 it failed, 2 wrong usage.
func run(args []string) int {
	running := false
	root := &cobra.Command{
		Use:   "sazukari",
		Short: "A client of Megaki servers",
		Long: `sazukari speaks Megaki to a server such as mkd. It knows the server by its
public key, which 'mkd keygen' has made.

  sazukari send --server 127.0.0.1:6363 --key server.key.pub hello`,
		Version:           version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetArgs(args)
	root.AddCommand(sendCommand(), benchCommand())
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
	fmt.Fprintf(os.Stderr, "sazukari: %v\n", err)
	if !running {
		fmt.Fprintf(os.Stderr, "See '%s --help'.\n", cmd.CommandPath())
		return 2
	}
	return 1
}

// serverFlags are what every command needs to know of the server.
type serverFlags struct {
	address, key string
	maxMessage   int
}

func (f *serverFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.address, "server", "s", "", "`host:port` of the server")
	cmd.Flags().StringVarP(&f.key, "key", "k", "", "public key `file` of the server: PEM, or the 260 bytes of libsazukari")
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
		return nil, fmt.Errorf("--max-message %d: it is from 1 to %d", f.maxMessage, megaki.MaxMessageLimit)
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
