package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// house lists which packages of the project each package may import, and which
// other modules; all may import the standard library.
var house = map[string]struct{ own, modules []string }{
	"megaki":               {[]string{"cores", "megaki/cbc", "rawio", "share"}, []string{"golang.org/x/crypto"}},
	"megaki/httpclient":    {[]string{"httpfield", "megaki"}, nil},
	"megaki/cbc":           {nil, nil},
	"megaki/privatekey":    {nil, nil},
	"megaki/conformance":   {[]string{"megaki"}, nil},
	"share":                {nil, nil},
	"sessions":             {[]string{"megaki"}, nil},
	"sessions/file":        {[]string{"megaki", "sessions"}, []string{"go.etcd.io/bbolt"}},
	"sessions/handover":    {[]string{"megaki"}, nil},
	"sessions/redis":       {[]string{"megaki", "sessions"}, []string{"github.com/redis/go-redis/v9"}},
	"spill":                {nil, nil},
	"httpfield":            {nil, nil},
	"metavar":              {nil, nil},
	"histogram":            {nil, nil},
	"cores":                {nil, nil},
	"rawio":                {nil, nil},
	"config":               {[]string{"httpfield", "metavar"}, []string{"gopkg.in/yaml.v3"}},
	"php":                  {[]string{"cores", "histogram", "httpfield", "metavar", "php/internal/process", "rawio", "share", "spill"}, nil},
	"php/cgi":              {[]string{"php/internal/process"}, nil},
	"php/internal/process": {nil, nil},
	"proxy/auth":           {[]string{"config", "cores", "share", "proxy/forward", "proxy/request"}, []string{"github.com/lestrrat-go/jwx", "golang.org/x/crypto", "golang.org/x/sync"}},
	"proxy/balance":        {[]string{"proxy/roundtrip"}, nil},
	"proxy/dnsprovider":    {nil, []string{"github.com/libdns/libdns", "github.com/miekg/dns"}},
	"proxy/certs":          {[]string{"proxy/dnsprovider", "share"}, []string{"github.com/caddyserver/certmagic", "github.com/mholt/acmez", "github.com/redis/go-redis/v9", "go.uber.org/zap", "golang.org/x/net", "golang.org/x/time"}},
	"proxy/fastcgi":        {[]string{"httpfield", "metavar", "rawio", "proxy/roundtrip"}, nil},
	"proxy/http1":          {[]string{"httpfield", "proxy/httpmsg"}, []string{"golang.org/x/sys"}},
	"proxy/httpmsg":        {[]string{"httpfield"}, nil},
	"proxy/keys":           {[]string{"config", "megaki", "megaki/privatekey"}, nil},
	"proxy/listen":         {[]string{"rawio", "share"}, []string{"golang.org/x/sys"}},
	"proxy/logs":           {[]string{"share"}, []string{"go.uber.org/zap"}},
	"proxy/roundtrip":      {[]string{"httpfield"}, nil},
	"proxy/site":           {[]string{"proxy/httpmsg"}, nil},
	"proxy/watch":          {nil, []string{"github.com/fsnotify/fsnotify"}},
	"proxy/upstream":       {[]string{"httpfield", "rawio", "share", "proxy/roundtrip"}, nil},
	"proxy/ratelimit":      {nil, []string{"golang.org/x/time"}},
	"proxy/request":        {[]string{"config", "megaki", "proxy/httpmsg", "proxy/tally"}, nil},
	"proxy/tally":          {[]string{"histogram"}, nil},
	"proxy/forward":        {[]string{"config", "httpfield", "metavar", "proxy/httpmsg", "proxy/logs", "proxy/request", "proxy/roundtrip", "proxy/site", "share", "spill"}, []string{"github.com/andybalholm/brotli", "github.com/klauspost/compress"}},
	"proxy/backend": {[]string{"config", "megaki", "php", "php/cgi", "share", "proxy/balance", "proxy/certs", "proxy/fastcgi", "proxy/forward", "proxy/httpmsg", "proxy/logs",
		"proxy/request", "proxy/roundtrip", "proxy/site", "proxy/upstream", "proxy/watch"}, []string{"github.com/pires/go-proxyproto"}},
	"proxy/route":    {[]string{"config", "proxy/auth", "megaki", "share", "proxy/forward", "proxy/httpmsg", "proxy/logs", "proxy/ratelimit", "proxy/request", "proxy/site", "proxy/tally"}, nil},
	"proxy/listener": {[]string{"config", "megaki", "share", "proxy/keys", "proxy/http1", "proxy/httpmsg", "proxy/listen", "proxy/logs", "proxy/ratelimit", "proxy/request"}, []string{"github.com/quic-go/quic-go"}},
	"proxy":          {[]string{"admin", "php", "proxy/listen", "proxy/keys", "sessions", "sessions/file", "sessions/handover", "sessions/redis", "megaki", "config", "proxy/backend", "proxy/certs", "proxy/dnsprovider", "proxy/forward", "proxy/listener", "proxy/logs", "proxy/request", "proxy/route", "proxy/tally", "share"}, nil},
	"admin":          {[]string{"histogram"}, []string{"github.com/prometheus/client_golang", "golang.org/x/net"}},
	"admin/console":  {[]string{"admin"}, []string{"golang.org/x/term"}},
	"service":        {[]string{"admin", "config", "cores", "megaki", "proxy", "proxy/listen", "proxy/logs", "sessions/handover", "systemd"}, nil},
	"systemd":        {nil, []string{"github.com/coreos/go-systemd", "golang.org/x/sys"}},
	"migrate":        {[]string{"migrate/nginxconf"}, []string{"gopkg.in/yaml.v3"}},

	"migrate/nginxconf": {nil, nil},
	// For packaging: linked only with the tag man.
	"internal/manpages": {nil, []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}},
	// For tests.
	"internal/testserver/fakeserver":  {nil, nil},
	"internal/testserver/pebble":      {nil, []string{"github.com/letsencrypt/pebble", "github.com/miekg/dns"}},
	"internal/testserver/nameserver":  {nil, []string{"github.com/miekg/dns"}},
	"internal/testserver/phpfpm":      {nil, nil},
	"internal/testserver/redisserver": {nil, nil},
	"internal/testserver/testca":      {nil, nil},
	"internal/testserver/storetest":   {[]string{"megaki"}, nil},

	"cmd/mkd":                {[]string{"migrate", "admin/console", "proxy/keys", "admin", "proxy", "proxy/logs", "config", "megaki", "megaki/privatekey", "php", "service", "internal/manpages"}, []string{"github.com/spf13/cobra"}},
	"bench":                  {[]string{"megaki"}, nil},
	"cmd/sazukari":           {[]string{"httpfield", "megaki", "megaki/conformance", "megaki/httpclient", "internal/manpages"}, []string{"github.com/spf13/cobra"}},
	"examples/http-upstream": {nil, nil},
	"vectors/generate":       {nil, nil},

	"examples/clients/go-client": {[]string{"megaki", "megaki/httpclient"}, nil},
}

// TestImports keeps the house as it is laid out: who may import whom.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		rules, known := house[pkg]
		if !known {
			t.Errorf("%s: package %s isn't in the house; add it here with what it may import", rel, pkg)
			return nil
		}
		seen[pkg] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if own, ok := strings.CutPrefix(name, "mkd/"); ok {
				if !slices.Contains(rules.own, own) {
					t.Errorf("%s imports %s", rel, name)
				}
				continue
			}
			if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") &&
				!slices.ContainsFunc(rules.modules, func(m string) bool { return name == m || strings.HasPrefix(name, m+"/") }) {
				t.Errorf("%s imports %s", rel, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range house {
		if !seen[pkg] {
			t.Errorf("package %s is gone", pkg)
		}
	}
}

// TestFolders looks up each package in the README's table of folders.
func TestFolders(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| folder |")
	for pkg := range house {
		top, _, _ := strings.Cut(pkg, "/")
		if top != "examples" && top != "internal" && pkg != "vectors/generate" && !strings.Contains(table, "`"+pkg+"`") {
			t.Errorf("the README's table of folders lacks %s", pkg)
		}
	}
}

// wallClock are the files that may have a time as nanoseconds since 1970, which neither of
// them compares with the time of now.
var wallClock = []string{
	"proxy/backend/livereload.go", // a version
	"proxy/site/send.go",          // of a file, for its tag
}

// TestHouseClocks finds times that are kept as nanoseconds since 1970, to compare them with
// later ones. The clock can be set back by hours: then a timeout once took hours, and a
// server's name wasn't looked up anew for as long. Keep a time.Time, or the time since one.
func TestHouseClocks(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil || slices.Contains(wallClock, filepath.ToSlash(rel)) {
			return err
		}
		source, err := os.ReadFile(file)
		for _, call := range []string{".UnixNano()", ".UnixMicro()", "time.Unix(0,", "time.UnixMicro("} {
			if strings.Contains(string(source), call) {
				t.Errorf("%s has %s", rel, call)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
