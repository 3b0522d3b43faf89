// Package manpages writes the man pages of a command, and its completions for shells.
package manpages

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// Write writes the pages of root and its subcommands to a folder, and its completions
// for bash, zsh and fish. The pages belong to a section of the manual, as "8", and
// name the version of mkd. It changes the texts of the commands.
func Write(root *cobra.Command, section, version, folder string) error {
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: section, Source: "mkd " + version, Manual: "mkd"}
	to := filepath.Join(folder, root.Name())
	toMarkdown(root)
	return errors.Join(doc.GenManTree(root, header, folder), root.GenBashCompletionFileV2(to+".bash", true),
		root.GenZshCompletionFile(to+".zsh"), root.GenFishCompletionFile(to+".fish", true))
}

// toMarkdown makes Markdown of the texts of a command and its subcommands, which they are
// read as.
func toMarkdown(c *cobra.Command) {
	c.Long = markdown(c.Long)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		parts := strings.Split(f.Usage, "`")
		for i := 0; i < len(parts); i += 2 { // the others are names in backquotes
			parts[i] = escape(parts[i])
		}
		f.Usage = strings.Join(parts, "`")
	})
	for _, sub := range c.Commands() {
		toMarkdown(sub)
	}
}

// markdown returns a text whose indented lines, tables and examples, are code, so that
// they aren't filled.
func markdown(text string) string {
	var b strings.Builder
	wasCode := true
	for line := range strings.Lines(text) {
		code, isCode := strings.CutPrefix(line, "  ")
		switch {
		case isCode && !wasCode:
			b.WriteString("\n    " + code)
		case isCode:
			b.WriteString("    " + code)
		default:
			b.WriteString(escape(line))
		}
		wasCode = isCode || strings.TrimSpace(line) == ""
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`).Replace(s)
}
