package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mkd/admin"
	"mkd/config"
)

// adminFlags adds the flags of commands that ask the running daemon. The function
// that it returns makes the client.
func adminFlags(cmd *cobra.Command) func() (*admin.Client, error) {
	path := configFlag(cmd)
	address := cmd.Flags().String("admin", "", "admin socket as `unix:PATH`; default: that of the configuration, of which only the section admin is read")
	return func() (*admin.Client, error) {
		if *address != "" {
			socket, ok := strings.CutPrefix(*address, "unix:")
			if !ok || socket == "" {
				return nil, fmt.Errorf("--admin %s: want unix:PATH, as in unix:/run/mkd/admin.sock", *address)
			}
			return &admin.Client{Socket: socket}, nil
		}
		section, err := config.LoadAdmin(*path)
		if err != nil {
			return nil, fmt.Errorf("%w; name it by --config, as --config /etc/mkd/config.yaml, which the Debian package has, or the socket by --admin unix:PATH", err)
		}
		return &admin.Client{Socket: section.Socket(*path)}, nil
	}
}

// actionCommand returns a command that sends the running daemon an action, and
// prints what it did.
func actionCommand(cmd *cobra.Command, do func(ctx context.Context, c *admin.Client, args []string) (string, error)) *cobra.Command {
	client := adminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		done, err := do(cmd.Context(), c, args)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
		return err
	}
	return cmd
}

func reloadCommand() *cobra.Command {
	return actionCommand(&cobra.Command{
		Use:   "reload",
		Short: "Reload the configuration of the running daemon",
		Long: `Reload the configuration of the running daemon, as SIGHUP does. It is read
and checked first, with all keys and certificates, and where a section has changed
new workers boot beside the old ones. If anything is wrong, all errors are shown, the exit code
is 1, and nothing has changed. Otherwise the new configuration is in use when the
command returns. Requests in flight end on the old one; sessions, WebSockets,
and the workers of sections that haven't changed live on, with the code that they
have loaded: 'mkd workers restart' replaces them.`,
		Args: noArgs,
	}, func(ctx context.Context, c *admin.Client, _ []string) (string, error) { return c.Reload(ctx) })
}

func upgradeCommand() *cobra.Command {
	return actionCommand(&cobra.Command{
		Use:   "upgrade",
		Short: "Replace the running daemon by the binary on disk",
		Long: `Start the binary on disk, by the path and with the arguments that the running
daemon was started with, in the daemon's place, as SIGUSR2 does. It gets the
listening sockets, reads the configuration and boots its workers, while the old
process serves; then it gets the sessions, and serves. The old process stops
accepting, and ends after its last connection, or shutdown_timeout later: so no
connection is refused and no request fails. If the new process can't serve, the
command shows why, and the old one serves on.`,
		Args: noArgs,
	}, func(ctx context.Context, c *admin.Client, _ []string) (string, error) { return c.Upgrade(ctx) })
}

func drainCommand() *cobra.Command {
	return actionCommand(&cobra.Command{
		Use:   "drain",
		Short: "Take the running daemon out of service, then stop it",
		Long: `Fail the readiness check at /readyz, wait drain_delay so that load balancers
notice, and then stop the daemon as SIGTERM does: it stops accepting, and lets
requests in flight end within shutdown_timeout. The command returns at
once.`,
		Args: noArgs,
	}, func(ctx context.Context, c *admin.Client, _ []string) (string, error) { return c.Drain(ctx) })
}

func maintenanceCommand() *cobra.Command {
	return actionCommand(&cobra.Command{
		Use:   "maintenance on|off",
		Short: "Respond to all requests with 503, or end that",
		Long: `Respond to all requests with 503 and Retry-After, and with the page for 503 in
error_pages, until "mkd maintenance off". Raw messages close their connections. Requests in flight end as they would. Health checks, metrics and
mkd status work on. Neither a reload, nor an upgrade or a restart ends it: it is on
while there is the file "maintenance" in the storage folder.`,
		Example:   "  mkd maintenance on",
		ValidArgs: []string{"on", "off"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
	}, func(ctx context.Context, c *admin.Client, args []string) (string, error) {
		return c.SetMaintenance(ctx, args[0] == "on")
	})
}

func workersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "List the PHP workers of the running daemon, or replace them",
		Long: `List the PHP workers of the running daemon: what each does and since when, and the
memory that its script took. A worker is hanging if it has been busy with one request
for 10 seconds, or for a third of its timeout.`,
		Args: noArgs,
	}
	listWorkers(cmd)
	cmd.AddCommand(actionCommand(&cobra.Command{
		Use:   "restart [BACKEND]",
		Short: "Replace the PHP workers by new ones",
		Long: `Replace the PHP workers of a backend, or of all backends, one after the other: a
new worker starts, and when it is ready, an old one ends after its request. So no
request is dropped. The path of the script is resolved anew, so that a symlink to
a release is followed. If the new script fails, the command shows why, and the
old workers serve on.`,
		Args: cobra.MaximumNArgs(1),
	}, func(ctx context.Context, c *admin.Client, args []string) (string, error) {
		return c.RestartWorkers(ctx, strings.Join(args, ""))
	}))
	return cmd
}

func reopenCommand() *cobra.Command {
	return actionCommand(&cobra.Command{
		Use:   "reopen",
		Short: "Reopen the log file of the running daemon",
		Long: `Reopen the file of log.output of the running daemon, after logrotate has
renamed it, as SIGUSR1 does. If the file can't be opened, the command shows why, and
lines go on to the old file. Without a log file it does nothing, and the exit
code is 0.`,
		Args: noArgs,
	}, func(ctx context.Context, c *admin.Client, _ []string) (string, error) { return c.Reopen(ctx) })
}
