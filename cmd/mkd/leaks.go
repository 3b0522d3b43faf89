package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mkd/php"
)

func leaksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "leaks",
		Short: "What the requests of PHP workers have left behind",
		Long: `List what the requests of PHP workers have left behind: globals, static
properties, settings, open streams and the like that differ after a request, with
the request that did it first; and how the memory of the workers grows by route.
The backend has to have detect_leaks: true.`,
		Args: noArgs,
	}
	client := adminFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		body, err := c.Get(cmd.Context(), "/leaks")
		if err != nil {
			return err
		}
		defer body.Close()
		if *asJSON {
			_, err := io.Copy(cmd.OutOrStdout(), body)
			return err
		}
		var all map[string]php.Leaks
		if err := json.NewDecoder(body).Decode(&all); err != nil {
			return fmt.Errorf("reading the leaks: %w", err)
		}
		return printLeaks(cmd.OutOrStdout(), all)
	}
	return cmd
}

func printLeaks(out io.Writer, all map[string]php.Leaks) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "no backend has detect_leaks: true")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		l := all[name]
		fmt.Fprintf(w, "backend %s: %s\n", name, count(len(l.Found), "finding"))
		for _, leak := range l.Found {
			fmt.Fprintf(w, "  %q\t%q\tfirst by %s %q\t%s\n", leak.What, leak.How, leak.Method, leak.Path, count(int(leak.Requests), "request"))
		}
		for _, growth := range l.Routes {
			fmt.Fprintf(w, "  memory kept by route %s:\t%d bytes\tin %s\n", growth.Route, growth.Bytes, count(int(growth.Requests), "request"))
		}
	}
	return w.Flush()
}
