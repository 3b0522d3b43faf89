package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mkd/admin"
	"mkd/admin/console"
)

// fetch reads what the running daemon responds with at a path.
func fetch[T any](ctx context.Context, c *admin.Client, path string) (*T, error) {
	body, err := c.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	v := new(T)
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return nil, fmt.Errorf("%s of the running mkd: %w", path, err)
	}
	return v, nil
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of the running daemon",
		Long: `Show the state of the running daemon: its listeners, routes, backends with their
workers and servers, server keys and certificates, and first what needs attention.
Rates, p50 and p99 are those of the last minute. A worker is hanging if it has been
busy with one request for 10 seconds, or for a third of its timeout.

With --json it is the whole snapshot, which docs/monitoring.md describes.`,
		Args: noArgs,
	}
	client := adminFlags(cmd)
	raw := cmd.Flags().Bool("json", false, "print the snapshot as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		if *raw {
			body, err := c.Get(cmd.Context(), "/status")
			if err != nil {
				return err
			}
			defer body.Close()
			_, err = io.Copy(cmd.OutOrStdout(), body)
			return err
		}
		st, err := fetch[admin.Status](cmd.Context(), c, "/status")
		if err != nil {
			return err
		}
		console.Status(cmd.OutOrStdout(), st)
		return nil
	}
	return cmd
}

func topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the running daemon live",
		Long: `Show the state of the running daemon in the terminal, anew each second. Keys sort
the workers: s by state, f by how long they have been busy or idle, m by memory, r
by requests, a by age; R reverses the order, and q ends the command.`,
		Args: noArgs,
	}
	client := adminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		t := console.Top{In: os.Stdin, Out: os.Stdout, Status: func(ctx context.Context) (*admin.Status, error) {
			return fetch[admin.Status](ctx, c, "/status")
		}}
		return t.Run(cmd.Context())
	}
	return cmd
}

func sessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the Megaki sessions that have a connection",
		Long: `List the Megaki sessions that have a connection, those with the newest connections
first. Of a token only the first 8 digits are shown. Access lines in the log have all of
it, as "session": look there for what begins with them.`,
		Args: noArgs,
	}
	client := adminFlags(cmd)
	limit := cmd.Flags().Int("limit", 100, "how many to list at most; 0: only count them")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		list, err := fetch[admin.SessionList](cmd.Context(), c, fmt.Sprintf("/sessions?limit=%d", max(*limit, 0)))
		if err != nil {
			return err
		}
		st, err := fetch[admin.Status](cmd.Context(), c, "/status")
		if err != nil {
			return err
		}
		console.Sessions(cmd.OutOrStdout(), list, st)
		return nil
	}
	return cmd
}

// listWorkers makes the command list the workers.
func listWorkers(cmd *cobra.Command) {
	client := adminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		st, err := fetch[admin.Status](cmd.Context(), c, "/status")
		if err != nil {
			return err
		}
		if !console.AllWorkers(cmd.OutOrStdout(), st) {
			return errors.New("no backend has PHP workers of mkd's own")
		}
		return nil
	}
}
