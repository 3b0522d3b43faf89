package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestMakeHelp: `make help` lists each target of the Makefile.
func TestMakeHelp(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command("make", "-C", "../..", "--no-print-directory", "help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, help)
	}
	targets := regexp.MustCompile(`(?m)^([a-z][a-z0-9.-]*):`).FindAllStringSubmatch(string(makefile), -1)
	for _, target := range targets {
		if !strings.Contains(string(help), "make "+target[1]+" ") {
			t.Errorf("make help doesn't list %s", target[1])
		}
	}
	if len(targets) < 8 {
		t.Errorf("the Makefile has the targets %q", targets)
	}
}
