// Command mkd is the daemon: it terminates Megaki and HTTPS in front of PHP and
// HTTP sites.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki"
	"mkd/megaki/privatekey"
	"mkd/service"
	"runtime/pprof"
)

// version is set by the linker.
var version = "unknown"

// rootCommand returns the command line.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "mkd",
		Short: "A server that terminates Megaki and HTTPS in front of PHP and HTTP sites",
		Long: `mkd terminates Megaki, a small encrypted request/response protocol over TCP, and
HTTPS, and forwards the requests to PHP workers that it runs, to PHP-FPM, to HTTP
servers, or serves files.

Start with a key and the configuration:

  mkd keygen --out server.key
  mkd run --config config.yaml`,
		Version:           version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate(versionText())
	root.AddCommand(runCommand(), checkCommand(), reloadCommand(), upgradeCommand(), drainCommand(), maintenanceCommand(), reopenCommand(), workersCommand(), statusCommand(), topCommand(), sessionsCommand(), leaksCommand(), phpCommand(), keygenCommand(), keyCommand(), schemaCommand(), migrateCommand(), versionCommand())
	return root
}

// run returns the exit code: 0, 1 it failed, 2 wrong usage, or that of an exitError.
func run(args []string) int {
	running := false
	root := rootCommand()
	root.SetArgs(args)
	var watch func(*cobra.Command)
	watch = func(c *cobra.Command) {
		if work := c.RunE; work != nil {
			c.RunE = func(cmd *cobra.Command, args []string) error {
				running = true
				return work(cmd, args)
			}
		}
		for _, below := range c.Commands() {
			watch(below)
		}
	}
	watch(root)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	message, code := fmt.Sprintf("mkd: %v\n", err), 1
	if e := (exitError{}); errors.As(err, &e) {
		code = e.code
	}
	if !running {
		message, code = fmt.Sprintf("%sSee '%s --help'.\n", message, cmd.CommandPath()), 2
	}
	printError(message)
	return code
}

// printError writes to standard error, and waits a second at most for whoever
// reads it.
func printError(text string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.WriteString(os.Stderr, text)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", "config.yaml", "configuration `file`")
}

// noArgs refuses arguments of a command that has --config: one of them is the
// name of a file, as a rule.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no argument; the configuration is given by a flag: %[1]s --config %s", cmd.CommandPath(), args[0])
}

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long:  "Run the daemon with a configuration, in the foreground.\n\n" + service.SignalHelp,
		Args:  noArgs,
	}
	path := configFlag(cmd)
	profile := cmd.Flags().String("cpuprofile", "", "write a CPU profile (of Go's pprof) to `FILE` when the daemon stops")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *profile == "" {
			return service.Run(*path, version)
		}
		out, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		err = service.Run(*path, version)
		pprof.StopCPUProfile()
		return errors.Join(err, out.Close())
	}
	return cmd
}

func keygenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Make a server key",
		Long: `Make an RSA-2048 server key, and write three files:

  FILE       the private key, readable by its owner alone; mkd needs it
  FILE.pub   the public key in PEM, for sazukari and package megaki
  FILE.cert  the public key in 260 bytes, for libsazukari ("server.cert")

A file that exists is never overwritten: clients in the field know the server
by its key alone.`,
		Args: cobra.NoArgs,
	}
	out := cmd.Flags().StringP("out", "o", "", "`file` for the private key")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err)
	}
	root := cmd.Flags().Bool("root", false, "make a root key instead: Ed25519, for mkd key sign")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *root {
			if err := megaki.CreateRootKeyFiles(*out); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%[1]s      private root key: keep it offline, and keep a copy\n"+
				"%[1]s.pub  public root key in PEM: give it to your clients\n", *out)
			return err
		}
		if err := megaki.CreateKeyFiles(*out); err != nil {
			return err
		}
		return printKeyFiles(cmd.OutOrStdout(), *out)
	}
	return cmd
}

// printKeyFiles prints what the files of a new key are for.
func printKeyFiles(w io.Writer, path string) error {
	_, err := fmt.Fprintf(w, "%[1]s       private key: keep it secret, and keep a copy\n"+
		"%[1]s.pub   public key in PEM: give it to your clients\n"+
		"%[1]s.cert  public key in 260 bytes: for libsazukari\n", path)
	return err
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
	return fmt.Sprintf("mkd %s, %s %s/%s, RSA by %s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, privatekey.Library())
}
