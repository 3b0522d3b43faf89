// Package manpages writes the man pages of a command, and its completions for shells.
package manpages

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Write writes the pages of root and its subcommands to a folder, and its completions
// for bash, zsh and fish. The pages belong to a section of the manual, as "8", and
// name the version of mkd.
func Write(root *cobra.Command, section, version, folder string) error {
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: section, Source: "mkd " + version, Manual: "mkd"}
	to := filepath.Join(folder, root.Name())
	return errors.Join(doc.GenManTree(root, header, folder), root.GenBashCompletionFileV2(to+".bash", true),
		root.GenZshCompletionFile(to+".zsh"), root.GenFishCompletionFile(to+".fish", true))
}
