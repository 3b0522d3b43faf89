package php

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPHPTools runs the PHP tools on Arcangelo and the examples.
func TestPHPTools(t *testing.T) {
	var files []string
	for _, pattern := range []string{"arcangelo/*.php", "arcangelo/*/*.php", "testdata/*.php", "../examples/*/*.php", "../examples/*/*/*.php"} {
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
	for _, file := range files { // deprecations are printed, but no failure
		out, err := exec.Command("php", "-d", "error_reporting=-1", "-d", "display_errors=1", "-l", file).CombinedOutput()
		if want := "No syntax errors detected in " + file; err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%v\n%s", err, out)
		}
	}
	for _, c := range commands {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", c, err, out)
		}
	}
}
