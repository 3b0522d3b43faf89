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
The backend has to have detect_leaks: true. New workers, after a change or
'mkd workers restart', begin a new list.`,
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
	for _, name := range slices.Sorted(maps.Keys(all)) {
		l := all[name]
		fmt.Fprintf(out, "backend %s: %s\n", name, count(len(l.Found), "finding"))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		if len(l.Found) > 0 {
			fmt.Fprint(w, "  REQUESTS\tFIRST BY\tWHAT\tHOW\n")
		}
		for _, leak := range l.Found { // what a client has sent is quoted
			fmt.Fprintf(w, "  %d\t%s %q\t%q\t%q\n", leak.Requests, leak.Method, leak.Path, leak.What, leak.How)
		}
		w.Flush()
		if len(l.Routes) > 0 {
			fmt.Fprint(w, "\n  REQUESTS\tMEMORY KEPT\tEACH\tROUTE\n")
		}
		for _, growth := range l.Routes {
			kept := float64(growth.Bytes) / (1 << 10)
			fmt.Fprintf(w, "  %d\t%.1f KiB\t%.1f KiB\t%s\n", growth.Requests, kept, kept/float64(growth.Requests), growth.Route)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
