package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// load reads config.yaml in the folder etc of a system with some files.
func load(files map[string]string) (*Config, error) {
	return fakeSystem(fakeStat, files).load("etc/config.yaml")
}

const including = `
include: [sites/*.yaml, more.yaml]
listeners: {app: {megaki: {address: ":1", keys: [k]}}}
backends: {site: {php: {script: s.php}}}
routes: [{backend: site}]
`

func TestInclude(t *testing.T) {
	cfg, err := load(map[string]string{
		"etc/config.yaml":        including,
		"etc/sites/b.yaml":       "backends: {b: {files: {root: dir}}}\nroutes: [{match: {paths: [/b]}, backend: b}]\n",
		"etc/sites/a.yaml":       "listeners: {web: {http: {address: ':80'}}}\nroutes:\n  - {match: {paths: [/a]}, backend: site}\n",
		"etc/sites/.hidden.yaml": "x",
		"etc/sites/a.txt":        "x",
		"etc/more.yaml":          "# nothing yet\nroutes:\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, r := range cfg.Routes {
		paths = append(paths, r.Match.Paths...)
	}
	if !slices.Equal(paths, []string{"/a", "/b"}) || len(cfg.Routes) != 3 || cfg.Routes[2].Backend != "site" {
		t.Errorf("routes: %+v", cfg.Routes)
	}
	if len(cfg.Listeners) != 2 || cfg.Listeners[1].Name != "web" {
		t.Errorf("listeners: %+v", cfg.Listeners)
	}
	if len(cfg.Backends) != 2 || cfg.Backends[1].Files.Root != "etc/sites/dir" || cfg.Backends[0].PHP.Script != "etc/s.php" {
		t.Errorf("backends: %+v", cfg.Backends)
	}
}

// TestIncludeAlone: the main file may leave all to the files that it includes.
func TestIncludeAlone(t *testing.T) {
	cfg, err := load(map[string]string{
		"etc/config.yaml": "include: [/x/all.yaml]\n",
		"/x/all.yaml":     minimal,
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Backends[0].PHP.Script != "/x/s.php" {
		t.Errorf("script: %s", cfg.Backends[0].PHP.Script)
	}
}

// TestIncludeAllRoutes: if all routes are in included files, paths of what follows
// still start at the folder of the main file.
func TestIncludeAllRoutes(t *testing.T) {
	cfg, err := load(map[string]string{
		"etc/config.yaml":  "include: [sites/*.yaml]\nstorage: kept.dir\nadmin: {address: 'unix:a.sock'}\nlog: {output: {file: dir/a.log}}\n",
		"etc/sites/a.yaml": minimal,
	})
	if err != nil {
		t.Fatal(err)
	}
	have := []string{cfg.Storage.Path, cfg.Admin.Address, cfg.Log.Output.File, cfg.Backends[0].PHP.Script}
	if want := []string{"etc/kept.dir", "unix:etc/a.sock", "etc/dir/a.log", "etc/sites/s.php"}; !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	_, err = load(map[string]string{
		"etc/config.yaml":  "include: [sites/*.yaml]\nlimits: {spol: 1}\nsessions: {secret_file: missing}\n",
		"etc/sites/a.yaml": minimal,
	})
	want := "the configuration has 2 errors:\netc/config.yaml:2:10: limits.spol: unknown key; did you mean \"spool\"?\n" +
		"etc/config.yaml:3:25: sessions.secret_file: etc/missing doesn't exist; relative paths start at the folder of the configuration file"
	if err == nil || err.Error() != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
}

// TestIncludeAlias: an alias in include, or in the place of a section that included
// files add to, is what it names.
func TestIncludeAlias(t *testing.T) {
	cfg, err := load(map[string]string{
		"etc/config.yaml": "limits: &empty {}\ntrusted_proxies: &none []\nlog: {output: {file: &file more.yaml}}\n" +
			"listeners: {app: {megaki: {address: ':1', keys: [k]}}}\nbackends: *empty\nroutes: *none\ninclude: [*file]\n",
		"etc/more.yaml": "backends: {site: {php: {script: s.php}}}\nroutes: [{backend: site}]\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Backends) != 1 || len(cfg.Routes) != 1 || len(cfg.TrustedProxies) != 0 {
		t.Errorf("%d backends, %d routes, %d proxies", len(cfg.Backends), len(cfg.Routes), len(cfg.TrustedProxies))
	}
}

func TestIncludeErrors(t *testing.T) {
	for _, c := range []struct{ name, main, included, want string }{
		{"mistake", including, "backends:\n  b: {files: {rot: dir}}", `etc/more.yaml:2:15: backends.b.files.rot: unknown key; did you mean "root"?`},
		{"missing", including, "backends:\n  b: {files: {root: missing}}",
			`etc/more.yaml:2:21: backends.b.files.root: etc/missing doesn't exist; relative paths start at the folder of the configuration file`},
		{"twice", including, "\nbackends: {site: {files: {root: dir}}}", `etc/more.yaml:2:12: backends.site: duplicate key; the first is in etc/config.yaml:4:12`},
		{"address twice", including, "listeners: {b: {megaki: {address: ':1', keys: [k]}}}",
			"etc/more.yaml:1:35: listeners.b.megaki.address: the listener app has this address already; take another port"},
		{"other section", including, "log: {level: debug}", "etc/more.yaml:1:1: log: an included file has listeners, backends or routes; log belongs in the main file"},
		{"nested", including, "include: [x]", "etc/more.yaml:1:1: include: an included file has listeners, backends or routes; only the main file includes others"},
		{"syntax", including, "routes: [", "etc/more.yaml:2:1: this isn't YAML: did not find expected node content; look at the indentation, and put quotes around a value that has a colon or a bracket in it"},
		{"empty", including, "", "etc/more.yaml:1:1: the file is empty; it needs listeners, backends and routes"},
		{"not there", strings.Replace(including, "more.yaml", "other.yaml", 1), "x", "etc/config.yaml:2:25: include: can't read etc/other.yaml: file does not exist"},
		{"no list", strings.Replace(including, "[sites/*.yaml, more.yaml]", "more.yaml", 1), "x", `etc/config.yaml:2:10: include: got "more.yaml"; want a list, as in [more.yaml]`},
		{"no pattern", strings.Replace(including, "more.yaml", `"[.yaml"`, 1), "x", `etc/config.yaml:2:25: include: "[.yaml" isn't a pattern of file names, as in sites/*.yaml`},
		{"section of another kind", including, "backends: [a]", "etc/more.yaml:1:11: backends: got a list; want names with blocks, as in the main file"},
		{"routes of another kind", including, "routes: {backend: site}", "etc/more.yaml:1:9: routes: got a block of keys; want a list"},
		{"main's mistake after it", including + "limits: {spol: 1}\n", "routes: [{backend: site, name: a}]", `etc/config.yaml:6:10: limits.spol: unknown key; did you mean "spool"?`},
		{"both", including + "log: {level: a}\n", "routes: [{backend: stie}]",
			"the configuration has 2 errors:\netc/config.yaml:6:14: log.level: got \"a\"; want debug, info, warn or error\netc/more.yaml:1:20: routes[0].backend: there is no backend \"stie\"; did you mean \"site\"?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(map[string]string{"etc/config.yaml": c.main, "etc/more.yaml": c.included})
			if err == nil || err.Error() != c.want {
				t.Errorf("have %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestIncludeUnreadable: a pattern whose folder can't be read is an error; mkd would drop
// all its sites without a word at a reload.
func TestIncludeUnreadable(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.yaml":          "include: [sites/*/site.yaml]\nlisteners: {web: {http: {address: ':80'}}}\nroutes: [{respond: {}}]\n",
		"sites/a/site.yaml":    "routes: [{match: {paths: [/a]}, respond: {}}]\n",
		"sites/.git/site.yaml": "routes: [{match: {paths: [/git]}, respond: {}}]\n",
		"sites/README":         "x",
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "config.yaml")
	cfg, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Routes) != 2 || cfg.Routes[0].Match.Paths[0] != "/a" {
		t.Errorf("routes: %+v", cfg.Routes)
	}
	// A link to itself can't be read by root either.
	for _, c := range []struct{ link, pattern, unreadable string }{
		{"sites/b", "sites/*/site.yaml", "sites/b/site.yaml"},
		{"all", "all/*.yaml", "all"},
	} {
		link := filepath.Join(dir, c.link)
		text := "include: [" + c.pattern + "]\nlisteners: {web: {http: {address: ':80'}}}\nroutes: [{respond: {}}]\n"
		if err := errors.Join(os.Symlink(filepath.Base(link), link), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file)
		if want := file + ":1:11: include: can't read " + filepath.Join(dir, c.unreadable) + ": "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("have %v\nwant %s", err, want)
		}
	}
}
