package main

import (
	"io"

	"github.com/spf13/cobra"

	"mkd/config"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of config.yaml, for editors",
		Long: `Print a JSON Schema (draft-07) of config.yaml, with which an editor completes keys,
shows their documentation, and marks mistakes while you write.

Editors with the YAML language server, such as VS Code with its extension YAML, take it
from the first line of the file:

  mkd schema > config.schema.json
  # yaml-language-server: $schema=config.schema.json

It knows keys, types and values. mkd check knows more: whether files exist, ranges of
durations and sizes, and what concerns several keys at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.JSONSchema())
			return err
		},
	}
}
