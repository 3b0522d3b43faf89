//go:build man

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"
)

// main writes the man pages and the completions of shells to the folder that it is
// given, in place of the command: see the Makefile.
func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man FOLDER")
		os.Exit(2)
	}
	root := rootCommand()
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "mkd " + version, Manual: "mkd"}
	to := filepath.Join(os.Args[1], root.Name())
	if err := errors.Join(doc.GenManTree(root, header, os.Args[1]), root.GenBashCompletionFileV2(to+".bash", true),
		root.GenZshCompletionFile(to+".zsh"), root.GenFishCompletionFile(to+".fish", true)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
