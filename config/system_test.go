package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNotAFile: what isn't a regular file is refused before it is opened, since a pipe and a
// terminal hold up a reload until somebody writes to them. The log may go to them.
func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	pipe, config := filepath.Join(dir, "pipe"), filepath.Join(dir, "config.yaml")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink("pipe", filepath.Join(dir, "pipe.yaml"))); err != nil {
		t.Fatal(err)
	}
	load := func(path, text string) string {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err != nil {
			return err.Error()
		}
		return ""
	}
	const rest = "listeners: {web: {http: {address: ':80'}}}\nroutes: [{respond: {}}]\n"
	for _, c := range []struct{ name, path, text, want string }{
		{"configuration", pipe, "", "reading the configuration: read " + pipe + ": it is a pipe; want a file"},
		{"device", "/dev/zero", "", "reading the configuration: read /dev/zero: it is a device; want a file"},
		{"folder", dir, "", "reading the configuration: read " + dir + ": it is a folder; want a file"},
		{"included", config, "include: [pipe]\n" + rest, config + ":1:11: include: can't read " + pipe + ": it is a pipe; want a file"},
		{"included by a pattern", config, "include: [p*.yaml]\n" + rest, config + ":1:11: include: can't read " + pipe + ".yaml: it is a pipe; want a file"},
		{"secret", config, strings.Replace(rest, "respond: {}", "respond: {}, headers: {response: {set: {A: {file: pipe}}}}", 1), config + ":2:61: routes[0].headers.response.set.A.file: " + pipe + " is a pipe; want a file"},
		{"page", config, strings.Replace(rest, "{}", "{file: /dev/zero}", 1), config + ":2:27: routes[0].respond.file: /dev/zero is a device; want a file"},
		{"log", config, rest + "log: {output: {file: pipe}}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if have := load(c.path, c.text); have != c.want {
				t.Errorf("have %s\nwant %s", have, c.want)
			}
		})
	}
}
