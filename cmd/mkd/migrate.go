package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mkd/migrate"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Turn the configuration of another server into a config.yaml",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(migrateNginxCommand())
	return cmd
}

func migrateNginxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nginx FILE",
		Short: "Turn the configuration of nginx into a config.yaml",
		Long: `Read a configuration of nginx and what it includes, and write a config.yaml that
serves the same sites. FILE is nginx.conf, or a file with server blocks, such as one of
sites-enabled; - is standard input. nginx needn't be installed.

What can't be moved becomes a comment at its place, with the file and line that it comes
from and the reason; so does what behaves differently. Read these before you go on:

  mkd migrate nginx /etc/nginx/sites-enabled/shop --out config.yaml
  grep -nE "isn't moved:|differs:" config.yaml
  mkd check --config config.yaml

The listeners have the ports of nginx. To try mkd beside it, change them, and ask both for
the same pages. Megaki listeners are added by hand: see docs/moving.md.`,
		Args: cobra.ExactArgs(1),
	}
	out := cmd.Flags().StringP("out", "o", "", "write to `FILE`, which must not exist yet, in place of standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		result, err := migrate.Nginx(args[0])
		if err != nil {
			return err
		}
		if *out == "" {
			_, err := cmd.OutOrStdout().Write(result.YAML)
			return err
		}
		f, err := os.OpenFile(*out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists; move it away, or give another name", *out)
		}
		if err != nil {
			return err
		}
		_, err = f.Write(result.YAML)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is written; %s moved\n", *out, notMoved(result.Lost))
		return nil
	}
	return cmd
}

func notMoved(n int) string {
	switch n {
	case 0:
		return "all directives are"
	case 1:
		return "1 directive isn't"
	}
	return fmt.Sprintf("%d directives aren't", n)
}
