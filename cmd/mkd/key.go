package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/keys"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Rotate the keys that clients pin",
		Long: `Show, make, retire and announce the keys of a Megaki listener. None of these commands
changes the configuration: they print the lines for it. docs/keys.md has the plan of
a rotation, and what to do about a stolen key.`,
	}
	cmd.AddCommand(keyListCommand(), keyRotateCommand(), keyRetireCommand(), keySignCommand())
	return cmd
}

// ledgerOf returns the ledger of a configuration.
func ledgerOf(cfg *config.Config) *keys.Ledger {
	return keys.Open(filepath.Join(cfg.Storage.Path, keys.LedgerFile))
}

func keyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print the keys, and how many handshakes use each",
		Long: `Print the keys of all Megaki listeners, and how many handshakes used each in the last
hour, in 24 hours and in 30 days. Handshakes that were refused because the key is
retired count too. The daemon writes its counts every 5 seconds, and keeps them
across restarts; it needn't run.`,
		Args: noArgs,
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		rows, err := keys.Report(cfg, ledgerOf(cfg))
		if err != nil {
			return err
		}
		return printKeys(cmd.OutOrStdout(), rows)
	}
	return cmd
}

func printKeys(out io.Writer, rows []keys.Row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LISTENER\tKEY\tFINGERPRINT\tSTATE\t1 H\t24 H\t30 D\tSHARE\tLAST")
	for _, r := range rows {
		last := "-"
		if !r.Last.IsZero() {
			last = r.Last.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.0f %%\t%s\n", r.Listener, r.Label(), r.ID.Short(), r.State(), r.Hour, r.Day, r.Month, 100*r.Share, last)
	}
	return w.Flush()
}

// listenerFlag names one of several Megaki listeners.
func listenerFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("listener", "", "`name` of the listener, if there are several for Megaki")
}

// keysOf reads a configuration and the keys of a listener.
func keysOf(path, listener string) (*config.Config, []keys.Key, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	l, err := keys.Listener(cfg, listener)
	if err != nil {
		return nil, nil, err
	}
	list, err := keys.Load(l.Megaki)
	return cfg, list, err
}

func keyRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate --out FILE",
		Short: "Make the next key beside the present one",
		Long: `Make a key that serves beside the present ones, and print the lines for config.yaml
and what to ship with the app. Clients that pin the old key are served as before.`,
		Args: noArgs,
	}
	path, listener := configFlag(cmd), listenerFlag(cmd)
	out := cmd.Flags().StringP("out", "o", "", "`file` for the private key")
	name := cmd.Flags().String("name", "", "`name` of the key for logs and backends, as in 2027")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, list, err := keysOf(*path, *listener)
		if err != nil {
			return err
		}
		if err := megaki.CreateKeyFiles(*out); err != nil {
			return err
		}
		next := []config.Key{{File: *out, Name: *name}}
		for _, k := range list {
			next = append(next, k.Key)
		}
		w := cmd.OutOrStdout()
		printKeyFiles(w, *out)
		fmt.Fprintf(w, "\nIn %s, below the listener's megaki:\n\n%s", *path, keys.ConfigLines(next, filepath.Dir(*path)))
		fmt.Fprintf(w, "\nIn new versions of the app, pin %s.pub, or %[1]s.cert with libsazukari. Versions in\nthe field go on with the old key; mkd key list shows how many. docs/keys.md has the rest.\n", *out)
		return nil
	}
	return cmd
}

func keyRetireCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire KEY",
		Short: "Print the lines that refuse clients of a key",
		Long: `Print the lines for config.yaml that retire a key, and how many clients used it.
KEY is its name, its file, or the beginning of its fingerprint. A client that pins a
retired key gets the error "server key blacklisted" (03 FF), and its session can't be
resumed.`,
		Args: cobra.ExactArgs(1),
	}
	path, listener := configFlag(cmd), listenerFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, list, err := keysOf(*path, *listener)
		if err != nil {
			return err
		}
		i, err := keys.Find(list, args[0])
		if err != nil {
			return err
		}
		next, err := keys.Retire(list, i)
		if err != nil {
			return err
		}
		used, err := ledgerOf(cfg).Report()
		if err != nil {
			return err
		}
		u := used[list[i].ID]
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Handshakes with this key: %d in 24 hours, %d in 30 days. Such clients are refused with:\n\n%s",
			u.Day, u.Month, keys.ConfigLines(next, filepath.Dir(*path)))
		return err
	}
	return cmd
}

func keySignCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign --root FILE --site NAME --out FILE",
		Short: "Sign the list of current and coming keys for clients",
		Long: `Sign the list of a listener's keys that are not retired, in the order of config.yaml,
with their dates. key_list of the listener serves it to clients, which know the public
half of the root key. Keep the root key offline: make it, and run this command, on a
machine of its own, with a copy of config.yaml and of the public keys.`,
		Args: noArgs,
	}
	path, listener := configFlag(cmd), listenerFlag(cmd)
	root := cmd.Flags().String("root", "", "`file` of the private root key, as mkd keygen --root makes it")
	site := cmd.Flags().String("site", "", "`name` of the site, which the app knows")
	serial := cmd.Flags().Uint64("serial", 0, "`number` that grows with each list; default: the time in seconds")
	expires := cmd.Flags().Duration("valid", 180*24*time.Hour, "how long the list is valid")
	out := cmd.Flags().StringP("out", "o", "", "`file` for the signed list, which is replaced")
	for _, name := range []string{"root", "site", "out"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, list, err := keysOf(*path, *listener)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(*root)
		if err != nil {
			return err
		}
		private, err := megaki.ParseRootKey(data)
		if err != nil {
			return fmt.Errorf("%s: %w", *root, err)
		}
		now := time.Now()
		if *serial == 0 {
			*serial = uint64(now.Unix())
		}
		l, err := keys.List(list, *site, *serial, now.Add(*expires).Truncate(time.Second))
		if err != nil {
			return err
		}
		signed, err := l.Sign(private)
		if err != nil {
			return err
		}
		if err := os.WriteFile(*out+".new", signed, 0o644); err != nil {
			return err
		}
		if err := os.Rename(*out+".new", *out); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s  %d keys of %s, serial %d, valid until %s\n", *out, len(l.Keys), l.Site, l.Serial, l.Expires.Format(time.DateOnly))
		return err
	}
	return cmd
}
