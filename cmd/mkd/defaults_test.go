package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mkd/config"
	"mkd/megaki"
	"mkd/megaki/httpclient"
	"mkd/php"
	"mkd/php/cgi"
	"mkd/proxy/balance"
	"mkd/proxy/certs"
	"mkd/proxy/fastcgi"
	"mkd/proxy/http1"
	"mkd/proxy/listen"
	"mkd/proxy/upstream"
	"mkd/sessions"
	"mkd/sessions/file"
	"mkd/sessions/redis"
)

// TestDefaults compares the default values of config.yaml with those that packages
// have for users without one: the constants Default…, all of which are here. One
// without a second value has no key.
func TestDefaults(t *testing.T) {
	cfg := minimalConfig(t)
	m, web := cfg.Listeners[0].Megaki, &cfg.Listeners[1].HTTPS.Web
	backend := make(map[string]*config.Backend)
	for i := range cfg.Backends {
		backend[cfg.Backends[i].Name] = &cfg.Backends[i]
	}
	workers, spawn := backend["workers"].PHP, backend["spawned"].FastCGI.Spawn
	http, fpm := backend["http"].HTTP, backend["fpm"].FastCGI
	table := map[string][]any{
		"megaki.DefaultMaxMessage":        {megaki.DefaultMaxMessage, m.MaxMessage},
		"megaki.DefaultMaxMessagesPerKey": {megaki.DefaultMaxMessagesPerKey, m.MaxMessagesPerKey},
		"megaki.DefaultMaxConnections":    {megaki.DefaultMaxConnections, m.MaxConnections},
		"megaki.DefaultHandshakeTimeout":  {megaki.DefaultHandshakeTimeout, m.HandshakeTimeout},
		"megaki.DefaultMessageTimeout":    {megaki.DefaultMessageTimeout, m.MessageTimeout},
		"megaki.DefaultWriteTimeout":      {megaki.DefaultWriteTimeout, m.WriteTimeout},
		"megaki.DefaultIdleTimeout":       {megaki.DefaultIdleTimeout, m.IdleTimeout},
		"megaki.DefaultSessionTTL":        {megaki.DefaultSessionTTL, cfg.Sessions.TTL},
		"megaki.DefaultSessions":          {megaki.DefaultSessions, cfg.Sessions.Capacity},
		"megaki.DefaultMessageMemory":     {megaki.DefaultMessageMemory, cfg.Limits.MessageMemory},

		"file.DefaultCapacity":     {file.DefaultCapacity, cfg.Sessions.Capacity},
		"redis.DefaultPrefix":      {redis.DefaultPrefix, cfg.Sessions.Store.Redis.Prefix},
		"sessions.DefaultTimeout":  {sessions.DefaultTimeout, cfg.Sessions.Timeout},
		"sessions.DefaultFailures": {sessions.DefaultFailures},
		"sessions.DefaultRetry":    {sessions.DefaultRetry},
		"sessions.DefaultInFlight": {sessions.DefaultInFlight},

		"php.DefaultMinWorkers":    {php.DefaultMinWorkers, workers.Workers.Min},
		"php.DefaultMaxWorkers":    {php.DefaultMaxWorkers, workers.Workers.Max},
		"php.DefaultQueue":         {php.DefaultQueue, workers.Queue},
		"php.DefaultQueueTimeout":  {php.DefaultQueueTimeout, workers.QueueTimeout},
		"php.DefaultTimeout":       {php.DefaultTimeout, workers.Timeout},
		"php.DefaultBootTimeout":   {php.DefaultBootTimeout, workers.BootTimeout},
		"php.DefaultIdleTimeout":   {php.DefaultIdleTimeout, workers.IdleTimeout},
		"php.DefaultMemoryCeiling": {php.DefaultMemoryCeiling, workers.MemoryCeiling},
		"php.DefaultMaxUploads":    {php.DefaultMaxUploads, workers.Uploads.MaxFiles},
		"php.DefaultUploadTotal":   {php.DefaultUploadTotal, workers.Uploads.MaxTotal},

		"cgi.DefaultCommand":     {cgi.DefaultCommand, spawn.Command},
		"cgi.DefaultWorkers":     {cgi.DefaultWorkers, spawn.Workers},
		"cgi.DefaultMaxRequests": {cgi.DefaultMaxRequests, spawn.MaxRequests},
		"cgi.DefaultLinger":      {cgi.DefaultLinger, spawn.Linger},

		"upstream.DefaultDialTimeout":     {upstream.DefaultDialTimeout, http.DialTimeout},
		"upstream.DefaultResponseTimeout": {upstream.DefaultResponseTimeout, http.ResponseTimeout},
		"upstream.DefaultReadTimeout":     {upstream.DefaultReadTimeout, http.ReadTimeout},
		"upstream.DefaultIdleTimeout":     {upstream.DefaultIdleTimeout, http.IdleTimeout},
		"upstream.DefaultQueue":           {upstream.DefaultQueue, http.Queue},
		"upstream.DefaultQueueTimeout":    {upstream.DefaultQueueTimeout, http.QueueTimeout},
		"upstream.DefaultMaxIdle":         {upstream.DefaultMaxIdle},
		"upstream.DefaultMaxHeader":       {upstream.DefaultMaxHeader},

		"fastcgi.DefaultDialTimeout":     {fastcgi.DefaultDialTimeout, fpm.DialTimeout},
		"fastcgi.DefaultResponseTimeout": {fastcgi.DefaultResponseTimeout, fpm.ResponseTimeout},
		"fastcgi.DefaultReadTimeout":     {fastcgi.DefaultReadTimeout, fpm.ReadTimeout},
		"fastcgi.DefaultIdleTimeout":     {fastcgi.DefaultIdleTimeout, fpm.IdleTimeout},
		"fastcgi.DefaultMaxHeader":       {fastcgi.DefaultMaxHeader},

		"balance.DefaultInterval":    {balance.DefaultInterval, http.Health.Interval, fpm.Health.Interval},
		"balance.DefaultTimeout":     {balance.DefaultTimeout, http.Health.Timeout, fpm.Health.Timeout},
		"balance.DefaultRise":        {balance.DefaultRise, http.Health.Rise, fpm.Health.Rise},
		"balance.DefaultFall":        {balance.DefaultFall, http.Health.Fall, fpm.Health.Fall},
		"balance.DefaultMaxFails":    {balance.DefaultMaxFails, http.Balance.MaxFails, fpm.Balance.MaxFails},
		"balance.DefaultFailTimeout": {balance.DefaultFailTimeout, http.Balance.FailTimeout, fpm.Balance.FailTimeout},

		"http1.DefaultHeaderTimeout": {http1.DefaultHeaderTimeout, web.HeaderTimeout},
		"http1.DefaultBodyTimeout":   {http1.DefaultBodyTimeout, web.BodyTimeout},
		"http1.DefaultWriteTimeout":  {http1.DefaultWriteTimeout, web.WriteTimeout},
		"http1.DefaultIdleTimeout":   {http1.DefaultIdleTimeout, web.IdleTimeout},

		// Of clients, which config.yaml doesn't configure.
		"httpclient.DefaultMaxConns":    {httpclient.DefaultMaxConns},
		"httpclient.DefaultMaxQueue":    {httpclient.DefaultMaxQueue},
		"httpclient.DefaultIdleTimeout": {httpclient.DefaultIdleTimeout},

		"certs.DefaultPerHour":        {certs.DefaultPerHour, cfg.Listeners[1].HTTPS.TLS.ACME.OnDemand.PerHour},
		"certs.DefaultCA":             {certs.DefaultCA, cfg.Listeners[1].HTTPS.TLS.ACME.CA},
		"listen.DefaultHeaderTimeout": {listen.DefaultHeaderTimeout},
	}
	for name, values := range table {
		for _, v := range values[1:] {
			if plain(v) != plain(values[0]) {
				t.Errorf("%s is %v, the default of config.yaml is %v", name, values[0], v)
			}
		}
	}
	have := defaultConstants(t)
	for name := range have {
		if table[name] == nil {
			t.Errorf("%s isn't compared with config.yaml", name)
		}
	}
	for name := range table {
		if !have[name] {
			t.Errorf("%s doesn't exist", name)
		}
	}
}

// plain returns a number as int64, whatever its type, and anything else as it is.
func plain(v any) any {
	if r := reflect.ValueOf(v); r.CanInt() {
		return r.Int()
	}
	return v
}

// minimalConfig returns a configuration with each kind of listener and backend, in
// which only what has no default is set.
func minimalConfig(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yaml": `
listeners:
  a: {megaki: {address: ":6363", keys: [key]}}
  b: {https: {address: ":443", hosts: [example.org], tls: {acme: {agree_terms: true, on_demand: {ask: "http://127.0.0.1/ask"}}}}}
backends:
  workers: {php: {script: script.php}}
  http: {http: {upstreams: [{url: "http://127.0.0.1:9000"}], health: {}}}
  fpm: {fastcgi: {addresses: ["127.0.0.1:9000"], root: ".", health: {}}}
  spawned: {fastcgi: {spawn: {}, root: "."}}
routes:
  - {match: {payload: raw}, backend: workers}
  - {backend: http}
sessions: {secret_file: key, store: {redis: {addresses: ["127.0.0.1:6379"]}}}
`, "key": "", "script.php": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// defaultConstants returns the constants Default… of all packages, as in
// "megaki.DefaultMaxMessage".
func defaultConstants(t *testing.T) map[string]bool {
	t.Helper()
	constants := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, spec := range d.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						if strings.HasPrefix(name.Name, "Default") {
							constants[file.Name.Name+"."+name.Name] = true
						}
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return constants
}
