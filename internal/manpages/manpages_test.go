package manpages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestTextsKeepTheirForm: a page has the texts of a command as --help prints them. They
// aren't Markdown, which cobra takes them for.
func TestTextsKeepTheirForm(t *testing.T) {
	root := &cobra.Command{Use: "root", Run: func(*cobra.Command, []string) {}}
	sub := &cobra.Command{Use: "sub", Run: root.Run, Long: `Read a table:
  NAME   the file *name*, written
         after each line
  # a comment of NAME_ONE and NAME_TWO
  \\x    send \x

It has a <b>, a [link](x), \\ and * in it.`}
	sub.Flags().String("form", "", "`name=text` of a form; name=<FILE has its text, \\\\x is \\x")
	root.AddCommand(sub)
	folder := t.TempDir()
	if err := Write(root, "8", "1.2.3", folder); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "root-sub.8"))
	if err != nil {
		t.Fatal(err)
	}
	// In a page a backslash is written as two.
	for _, want := range []string{
		"\n.EX\nNAME   the file *name*, written\n       after each line\n# a comment of NAME_ONE and NAME_TWO\n" + `\\\\x    send \\x` + "\n.EE\n",
		`It has a <b>, a [link](x), \\\\ and * in it.`,
		`\fBname=text\fR of a form; name=<FILE has its text, \\\\x is \\x`,
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}
