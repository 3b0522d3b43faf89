package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mkd/megaki"
)

// keysTimeout bounds asking for a list of keys.
const keysTimeout = 30 * time.Second

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys --server HOST:PORT --key FILE [flags]",
		Short: "Show the server's list of current and coming keys",
		Long: `Ask a server whose messages are HTTP requests for its list of keys, check it, and print
it. With --root the list must be signed with the root key; without it nothing of the
list is proven. With --serial a list with a lower one, which somebody has put back, is
refused.`,
		Args: cobra.NoArgs,
	}
	var server serverFlags
	server.register(cmd, true)
	root := cmd.Flags().String("root", "", "`file` of the public root key, as mkd keygen --root makes it")
	var trust megaki.KeyTrust
	cmd.Flags().StringVar(&trust.Site, "site", "", "`name` that the site must have")
	cmd.Flags().Uint64Var(&trust.Serial, "serial", 0, "`number` of the last list")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := server.config(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if *root != "" {
			data, err := os.ReadFile(*root)
			if err != nil {
				return err
			}
			if trust.Root, err = megaki.ParseRootPublicKey(data); err != nil {
				return fmt.Errorf("%s: %w", *root, err)
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), keysTimeout)
		defer cancel()
		c, err := megaki.Dial(ctx, "tcp", server.address, cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		list, err := c.FetchKeys(ctx, trust)
		if err != nil {
			return err
		}
		if list == nil {
			return fmt.Errorf("the server has no list of keys")
		}
		if trust.Root == nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "sazukari: warning: without --root nothing of this list is proven")
		}
		return printKeyList(cmd.OutOrStdout(), list, cfg)
	}
	return cmd
}

// printKeyList prints a list, and which of its keys is the pinned one.
func printKeyList(out io.Writer, list *megaki.KeyList, cfg *megaki.Config) error {
	fmt.Fprintf(out, "site %q, serial %d, valid until %s\n", list.Site, list.Serial, list.Expires.UTC().Format(time.DateTime))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tFINGERPRINT\tFROM\tUNTIL\t")
	day := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format(time.DateOnly)
	}
	for i := range list.Keys {
		k := &list.Keys[i]
		key, err := k.Key()
		if err != nil {
			return err
		}
		id, err := megaki.IDOf(key)
		if err != nil {
			return err
		}
		note := ""
		if key.Equal(cfg.ServerKey) {
			note = "pinned here"
		}
		fmt.Fprintf(w, "%q\t%s\t%s\t%s\t%s\n", k.Name, id.Short(), day(k.From), day(k.Sunset), note)
	}
	return w.Flush()
}
