package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeFile is what a stat function of a test returns.
type fakeFile struct {
	fs.FileInfo
	mode fs.FileMode
}

func (f fakeFile) Mode() fs.FileMode { return f.mode }
func (f fakeFile) Size() int64       { return 0 }
func (f fakeFile) IsDir() bool       { return f.mode.IsDir() }

// fakeStat decides by a path's name what it is: "...missing..." or "storage"
// (nothing), "...dir",
// "...open..." (a file that all can read), "...denied...", else a private file.
func fakeStat(path string) (fs.FileInfo, error) {
	switch base := filepath.Base(path); {
	case strings.Contains(base, "missing"), base == "storage":
		return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	case strings.Contains(base, "denied"):
		return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrPermission}
	case strings.HasSuffix(base, "dir"):
		return fakeFile{mode: fs.ModeDir | 0o755}, nil
	case strings.Contains(base, "open"):
		return fakeFile{mode: 0o644}, nil
	}
	return fakeFile{mode: 0o600}, nil
}

// parse parses a file on a system where stat looks files up, and which has the
// environment variables A and EMPTY.
func parse(name string, data []byte, dir string, stat func(string) (fs.FileInfo, error)) (*Config, error) {
	return fakeSystem(stat, map[string]string{"db.secret": "secret"}).parse(name, data, dir)
}

// fakeSystem returns a system with the texts of some files.
func fakeSystem(stat func(string) (fs.FileInfo, error), files map[string]string) system {
	return system{
		stat: stat,
		readFile: func(path string, limit int64) ([]byte, error) {
			text, ok := files[path]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
		glob: func(pattern string) (names []string, err error) {
			for name := range files {
				matched, err := filepath.Match(pattern, name)
				if err != nil {
					return nil, err
				}
				if matched {
					names = append(names, name)
				}
			}
			return names, nil
		},
		getenv: func(name string) (string, bool) {
			value, ok := map[string]string{"A": "value of A", "EMPTY": "", "NUMBER": "77", "HOST": "203.0.113.9", "LONG": strings.Repeat("long", 30), "NESTED": "${A}"}[name]
			return value, ok
		},
		uid: func() int { return 0 },
	}
}

// minimal has what must be given, and nothing else.
const minimal = `
listeners: {app: {megaki: {address: ":1", keys: [k]}}}
backends: {site: {php: {script: s.php}}}
routes: [{backend: site}]
`

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	cfg, err := parse("config.yaml", []byte(text), ".", fakeStat)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	want := &Config{
		Listeners: []Listener{{Name: "app", Megaki: &Megaki{
			Address:           ":1",
			Keys:              []Key{{File: "k"}},
			Payload:           PayloadAuto,
			MaxMessage:        1 << 20,
			MaxFields:         200,
			MaxMessagesPerKey: 16384,
			HandshakeTimeout:  30 * time.Second,
			MessageTimeout:    60 * time.Second,
			WriteTimeout:      60 * time.Second,
			IdleTimeout:       5 * time.Minute,
			MaxConnections:    20000,
		}}},
		Backends: []Backend{{Name: "site", PHP: &PHP{
			Script:        "s.php",
			PHP:           "php",
			InheritEnv:    true,
			Workers:       Workers{Min: 2, Max: 16},
			Queue:         1024,
			QueueTimeout:  10 * time.Second,
			Timeout:       30 * time.Second,
			BootTimeout:   30 * time.Second,
			IdleTimeout:   time.Minute,
			MaxRequests:   10000,
			MemoryLimit:   128 << 20,
			MemoryCeiling: 256 << 20,
			Uploads:       Uploads{MaxFiles: 20, MaxSize: 64 << 20, MaxTotal: 4 << 30},
		}}},
		Routes:          []Route{{Backend: "site", MaxBody: 100 * MiB, AccessLog: true}},
		Limits:          Limits{MessageMemory: 256 << 20, HTTPMemory: 256 << 20, Spool: Spool{Memory: 64 * KiB, MaxMemory: 64 * MiB, MaxTotal: 4 * GiB}},
		ClientIPField:   "X-Forwarded-For",
		Storage:         Storage{Path: "storage"},
		Sessions:        Sessions{TTL: 24 * time.Hour, Capacity: 100000, Timeout: 250 * time.Millisecond},
		Log:             Log{Level: "info", Output: LogOutput{Mode: 0o640}, Format: "auto", Access: LogAccess{Enabled: true, Format: "auto"}, AccessRate: 5000},
		ShutdownTimeout: 30 * time.Second,
		DrainDelay:      5 * time.Second,
	}
	have := mustParse(t, minimal)
	have.positions = nil
	if !reflect.DeepEqual(have, want) {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
}

// TestTags checks that every default and range can be read, that a default
// satisfies its own field, and that no tag is misspelt.
func TestTags(t *testing.T) {
	ofTexts := []string{"", "address", "secret", "env", "ini", "matched-header", "set-header", "added-header", "type", "status", "query", "claim"}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for _, f := range fieldsOf(typ) {
			sf := typ.FieldByIndex(f.index)
			if below, _ := blockBelow(sf.Type); below != nil {
				if below != typ { // routes have routes inside
					walk(below)
				}
				continue
			}
			v := reflect.New(sf.Type).Elem()
			setDefault(v, f)
			switch v.Interface().(type) {
			case time.Duration, Size, int, float64:
				if f.low == "" || f.top == "" || f.hasDef == f.required {
					t.Errorf("%s has no range, or no default though it isn't required", f.goName)
				}
				if err := checkRange(v, f); err != nil && f.hasDef {
					t.Errorf("%s: the default is out of range: %v", f.goName, err)
				}
			case string:
				if err := checkFormat(f.format, f.def); err != nil && f.def != "" {
					t.Errorf("%s: the default hasn't its format: %v", f.goName, err)
				}
			}
			if len(f.oneOf) > 0 && f.hasDef && !strings.Contains(" "+strings.Join(f.oneOf, " ")+" ", " "+f.def+" ") {
				t.Errorf("%s: the default isn't one of the values", f.goName)
			}
			if _, option, _ := strings.Cut(sf.Tag.Get("yaml"), ","); option != "" && !f.required && !f.kind && !f.name {
				t.Errorf("%s: unknown option %q", f.goName, option)
			}
			if name, _, _ := strings.Cut(f.format, " "); formats[name] == nil && !slices.Contains(ofTexts, name) {
				t.Errorf("%s: unknown format %q", f.goName, f.format)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestEverything(t *testing.T) {
	have := mustParse(t, `
listeners:
  zeta:
    megaki:
      address: "[::1]:0"
      keys: [a.key, /etc/b.key]
      key_passphrase_file: pass
      payload: raw
      max_message: 64MiB
      max_messages_per_key: 1
      handshake_timeout: 500ms
      message_timeout: 1h30m
      write_timeout: 1.5s
      idle_timeout: 24h
      max_connections: 7
      max_connections_per_ip: 3
      handshakes_per_ip: {rate: 0.5, burst: 3}
      proxy_protocol: {from: [10.0.0.0/8, "::1"]}
  alpha: {megaki: {address: "localhost:6363", keys: [k]}}
backends:
  site:
    php:
      script: ../s.php
      php: ./bin/php
      dir: some.dir
      user: www
      group: "33"
      env: {A: b, N: 010, T: true, EMPTY: ""}
      ini: {upload_max_filesize: 256M, opcache.enable: 1, x: 1.50}
      inherit_env: false
      sandbox: true
      workers: {min: 3, max: 4}
      queue: 0
      queue_timeout: 1s
      timeout: 2s
      cancel: true
      boot_timeout: 3s
      idle_timeout: 4s
      max_requests: 0
      max_age: 1h
      memory_limit: 0
      memory_ceiling: 8388608
      display_errors: true
      uploads: {dir: uploads.dir, max_files: 3, max_size: 1KiB, max_total: 1GiB}
routes:
  - {match: {payload: raw, listeners: [zeta]}, backend: site, timeout: 9s}
  - {match: {payload: http, listeners: [alpha]}, backend: site, timeout: 0}
limits: {message_memory: 129MiB, spool: {memory: 1MiB, dir: spool.dir, max_total: 1GiB}}
trusted_proxies: [192.0.2.1, "2001:db8::/32"]
storage: /var/lib/mkd.dir
sessions: {ttl: 1m, capacity: 1}
log: {level: debug, format: json, access: false, access_rate: 100}
shutdown_timeout: 5s
drain_delay: 0
admin: {address: "unix:../a.sock"}
`)
	want := &Config{
		Listeners: []Listener{
			{Name: "zeta", Megaki: &Megaki{
				Address:             "[::1]:0",
				Keys:                []Key{{File: "a.key"}, {File: "/etc/b.key"}},
				KeyPassphraseFile:   "pass",
				Payload:             PayloadRaw,
				MaxMessage:          64 * MiB,
				MaxFields:           200,
				MaxMessagesPerKey:   1,
				HandshakeTimeout:    500 * time.Millisecond,
				MessageTimeout:      90 * time.Minute,
				WriteTimeout:        1500 * time.Millisecond,
				IdleTimeout:         24 * time.Hour,
				MaxConnections:      7,
				MaxConnectionsPerIP: 3,
				HandshakesPerIP:     HandshakesPerIP{Rate: 0.5, Burst: 3},
				ProxyProtocol:       ProxyProtocol{From: []string{"10.0.0.0/8", "::1"}},
			}},
			{Name: "alpha", Megaki: &Megaki{
				Address:           "localhost:6363",
				Keys:              []Key{{File: "k"}},
				Payload:           PayloadAuto,
				MaxMessage:        MiB,
				MaxFields:         200,
				MaxMessagesPerKey: 16384,
				HandshakeTimeout:  30 * time.Second,
				MessageTimeout:    time.Minute,
				WriteTimeout:      time.Minute,
				IdleTimeout:       5 * time.Minute,
				MaxConnections:    20000,
			}},
		},
		Backends: []Backend{{Name: "site", PHP: &PHP{
			Script:        "../s.php",
			PHP:           "bin/php",
			Dir:           "some.dir",
			User:          "www",
			Group:         "33",
			Env:           map[string]string{"A": "b", "N": "010", "T": "true", "EMPTY": ""},
			Ini:           map[string]string{"upload_max_filesize": "256M", "opcache.enable": "1", "x": "1.50"},
			Sandbox:       true,
			Workers:       Workers{Min: 3, Max: 4},
			QueueTimeout:  time.Second,
			Timeout:       2 * time.Second,
			Cancel:        true,
			BootTimeout:   3 * time.Second,
			IdleTimeout:   4 * time.Second,
			MaxAge:        time.Hour,
			MemoryCeiling: 8 * MiB,
			DisplayErrors: true,
			Uploads:       Uploads{Dir: "uploads.dir", MaxFiles: 3, MaxSize: KiB, MaxTotal: GiB},
		}}},
		Routes: []Route{
			{Match: Match{Payload: PayloadRaw, Listeners: []string{"zeta"}}, Backend: "site", Timeout: 9 * time.Second, MaxBody: 100 * MiB, AccessLog: true},
			{Match: Match{Payload: PayloadHTTP, Listeners: []string{"alpha"}}, Backend: "site", MaxBody: 100 * MiB, AccessLog: true},
		},
		Limits:          Limits{MessageMemory: 129 * MiB, HTTPMemory: 256 * MiB, Spool: Spool{Memory: MiB, MaxMemory: 64 * MiB, Dir: "spool.dir", MaxTotal: GiB}},
		TrustedProxies:  []string{"192.0.2.1", "2001:db8::/32"},
		ClientIPField:   "X-Forwarded-For",
		Storage:         Storage{Path: "/var/lib/mkd.dir"},
		Sessions:        Sessions{TTL: time.Minute, Capacity: 1, Timeout: 250 * time.Millisecond},
		Log:             Log{Level: "debug", Output: LogOutput{Mode: 0o640}, Format: "json", Access: LogAccess{Format: "auto"}, AccessRate: 100},
		Admin:           Admin{Address: "unix:../a.sock"},
		ShutdownTimeout: 5 * time.Second,
	}
	have.positions = nil
	if !reflect.DeepEqual(have, want) {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
}

// TestWorkers: one of min and max alone counts for both if it lies beyond the
// default of the other.
func TestWorkers(t *testing.T) {
	for text, want := range map[string]Workers{
		"{}":               {2, 16},
		"{min: 20}":        {20, 20},
		"{min: 16}":        {16, 16},
		"{max: 1}":         {1, 1},
		"{max: 4}":         {2, 4},
		"{min: 5, max: 5}": {5, 5},
	} {
		cfg := mustParse(t, strings.Replace(minimal, "s.php", "s.php, workers: "+text, 1))
		if have := cfg.Backends[0].PHP.Workers; have != want {
			t.Errorf("%s: have %v, want %v", text, have, want)
		}
	}
}

func TestPaths(t *testing.T) {
	text := strings.Replace(minimal, "script: s.php", "script: ./a/../s.php, php: ./php, dir: dir", 1)
	for dir, want := range map[string][4]string{
		".":    {"k", "s.php", "./php", "dir"}, // "php" alone would be looked up on PATH
		"conf": {"conf/k", "conf/s.php", "conf/php", "conf/dir"},
		"/etc": {"/etc/k", "/etc/s.php", "/etc/php", "/etc/dir"},
	} {
		cfg, err := parse("config.yaml", []byte(text), dir, fakeStat)
		if err != nil {
			t.Fatal(err)
		}
		p := cfg.Backends[0].PHP
		if have := [4]string{cfg.Listeners[0].Megaki.Keys[0].File, p.Script, p.PHP, p.Dir}; have != want {
			t.Errorf("%s: have %q, want %q", dir, have, want)
		}
	}
}

// TestAliases: they are followed, each to a value of its own.
func TestAliases(t *testing.T) {
	cfg := mustParse(t, `
listeners:
  a: {megaki: &m {address: ":0", keys: &k [k], max_message: &size 2MiB}}
  b: {megaki: *m}
backends: {site: {php: {script: s.php, env: {SIZE: *size}}}}
routes: [&r {backend: site}]
`)
	if a, b := cfg.Listeners[0].Megaki, cfg.Listeners[1].Megaki; a == b || !reflect.DeepEqual(a, b) {
		t.Errorf("have %+v and %+v", a, b)
	}
	if have := cfg.Backends[0].PHP.Env["SIZE"]; have != "2MiB" {
		t.Errorf("have %q", have)
	}
}

// TestShippedFiles loads the configurations of the repository, with a key.
func TestShippedFiles(t *testing.T) {
	files, err := filepath.Glob("../examples/*/config.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range append(files, "../config.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		withKey := func(path string) (fs.FileInfo, error) {
			if base := filepath.Base(path); base == "server.key" || base == "sessions.secret" { // start.sh makes these
				return fakeFile{mode: 0o600}, nil
			}
			return os.Stat(path)
		}
		cfg, err := parse(file, data, filepath.Dir(file), withKey)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range cfg.Warnings {
			t.Errorf("warning: %v", w)
		}
	}
}

// TestShippedDefaults takes the comment signs out of config.yaml: first those of
// whole blocks, which must be right, then those of defaults, which must be so.
func TestShippedDefaults(t *testing.T) {
	data, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	blocks := withBlocks(string(data), "web:", "plain:", "api:", "- match:")
	all, defaults := withDefaults(blocks)
	plain, err := parse("config.yaml", []byte(blocks), "..", fakeStat)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, blocks)
	}
	full, err := parse("config.yaml", []byte(all), "..", fakeStat)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, all)
	}
	if len(plain.Listeners) != 3 || len(plain.Backends) != 2 || len(plain.Routes) != 5 || len(plain.Warnings) != 0 || defaults < 40 {
		t.Errorf("%d listeners, %d backends, %d routes, %d defaults, and warnings: %v\nin\n%s",
			len(plain.Listeners), len(plain.Backends), len(plain.Routes), defaults, plain.Warnings, all)
	}
	plain.positions, full.positions = nil, nil
	if !reflect.DeepEqual(plain, full) {
		t.Errorf("the comments of config.yaml don't tell the defaults:\n%+v\n%+v", plain, full)
	}
}

// withBlocks takes the comment signs off the blocks that begin with some words.
func withBlocks(text string, begins ...string) string {
	var b strings.Builder
	inside := "" // what a line of the block begins with
	for line := range strings.Lines(text) {
		bare := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(bare)]
		rest, comment := strings.CutPrefix(bare, "# ")
		switch {
		case comment && slices.ContainsFunc(begins, func(begin string) bool { return strings.HasPrefix(rest, begin) }):
			inside = indent + "#   "
			line = indent + rest
		case inside != "" && strings.HasPrefix(line, inside):
			line = indent + rest
		default:
			inside = ""
		}
		b.WriteString(line)
	}
	return b.String()
}

// withDefaults takes the comment signs off keys, and counts them. A value whose
// comment names another default is an example.
func withDefaults(text string) (string, int) {
	var b strings.Builder
	count := 0
	for line := range strings.Lines(text) {
		bare := strings.TrimLeft(line, " ")
		rest, comment := strings.CutPrefix(bare, "# ")
		key, value, isKey := strings.Cut(rest, ":")
		isKey = isKey && strings.Trim(key, wordBytes+" ") == "" && strings.Count(strings.TrimSpace(key), " ") == 0 && !strings.Contains(value, "by default")
		if comment && isKey {
			line = line[:len(line)-len(bare)] + rest
			count++
		}
		b.WriteString(line)
	}
	return b.String(), count
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	_, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	for name, text := range map[string]string{"c.yaml": minimal, "k": "", "s.php": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := cfg.Backends[0].PHP.Script, filepath.Join(dir, "s.php"); have != want {
		t.Errorf("have %s, want %s", have, want)
	}
	if err := os.WriteFile(path, []byte(minimal+"x: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Path != "x" || errs[0].File != path || errs[0].Line != 5 || errs[0].Column != 1 {
		t.Errorf("have %v", err)
	}
	if _, err = Load(dir); err == nil {
		t.Error("a folder was loaded")
	}
	for _, size := range []int{maxFile + 1, 2 * maxFile} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err = Load(path); err == nil || err.Error() != "reading the configuration: read "+path+": it is larger than 1MiB" {
			t.Errorf("%d bytes: have %v", size, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "100B": 100, "1KiB": 1024, "1536B": 1536, "1MiB": MiB, "4GiB": 4 * GiB, "3TiB": 3 * TiB, "1025MiB": 1025 * MiB} {
		if have, err := parseSize(text); err != nil || have != want {
			t.Errorf("%s: have %d, %v", text, have, err)
		}
		if text != "1536B" && want.String() != text {
			t.Errorf("have %v, want %s", want, text)
		}
	}
	if have := Size(1536).String(); have != "1536B" {
		t.Errorf("have %s", have)
	}
}

func TestSuggest(t *testing.T) {
	keys := []string{"address", "keys", "max_message", "max_messages_per_key", "ttl", "php"}
	for word, want := range map[string]string{
		"adress": "address", "addres": "address", "addrses": "address", "key": "keys", "maxMessage": "max_message",
		"max-message": "max_message", "max_mesages": "max_message", "MAX_MESSAGES_PER_KEY": "max_messages_per_key",
		"tll": "ttl", "http": "", "https": "", "": "", "x": "", strings.Repeat("address", 100): "",
	} {
		if have := suggest(word, keys); have != want {
			t.Errorf("%s: have %q, want %q", word, have, want)
		}
	}
}
