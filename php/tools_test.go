package php

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPHPTools runs the PHP tools on Arcangelo and the examples.
func TestPHPTools(t *testing.T) {
	var files []string
	for _, pattern := range []string{"arcangelo/*.php", "arcangelo/*/*.php", "testdata/*.php", "../examples/*/*.php"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		files = append(files, found...)
	}
	commands := [][]string{
		{"phpunit", "--do-not-cache-result", "--bootstrap", "arcangelo/tests/bootstrap.php", "arcangelo/tests"},
		{"phpcs", "-s", "--standard=arcangelo/phpcs.xml", "arcangelo"},
	}
	for _, file := range files {
		commands = append(commands, []string{"php", "-d", "error_reporting=-1", "-d", "display_errors=1", "-l", file})
	}
	for _, c := range commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", c, err, out)
		}
	}
}
