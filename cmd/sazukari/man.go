//go:build man

package main

import (
	"fmt"
	"os"

	"mkd/internal/manpages"
)

// main writes the man pages and the completions to the folder that it is given, in
// place of the command: see the Makefile.
func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man FOLDER")
		os.Exit(2)
	}
	if err := manpages.Write(rootCommand(), "1", version, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
