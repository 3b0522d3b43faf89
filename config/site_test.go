package config

import (
	"reflect"
	"testing"
	"time"
)

// fpm, files and spool put a backend or the limits into minimal.
func fpm(text string) string {
	return withLine("backends", `backends: {site: {fastcgi: {root: a.dir, `+text+`}}}`)
}

func files(text string) string {
	return withLine("backends", `backends: {site: {files: {`+text+`}}}`)
}

func spool(text string) string { return minimal + `limits: {spool: {` + text + `}}` }

func TestSiteDefaults(t *testing.T) {
	cfg := mustParse(t, `
listeners: {web: {http: {address: ":80"}}}
backends:
  app: {fastcgi: {addresses: ["127.0.0.1:9000"], root: a.dir, health: {path: /ping}, send_file: {root: b.dir}}}
  own: {fastcgi: {spawn: {}, root: a.dir}}
  assets: {files: {root: a.dir}}
routes:
  - {match: {paths: [/assets/*]}, backend: assets}
  - {match: {paths: [/own/*]}, backend: own}
  - {backend: app}
`)
	app := FastCGI{
		Addresses: []string{"127.0.0.1:9000"}, Root: "a.dir", Balance: Balance{By: "round_robin", MaxFails: 3, FailTimeout: 10 * time.Second},
		Health:      &Health{Path: "/ping", Interval: 5 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3},
		DialTimeout: 5 * time.Second, ResponseTimeout: time.Minute, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Second,
		SendFile: &SendFile{Root: "b.dir"},
	}
	own := app
	own.Addresses, own.Health, own.SendFile = nil, nil, nil
	own.Spawn = &Spawn{Command: "php-cgi", Workers: 4, Linger: 5 * time.Minute, MaxRequests: 500, InheritEnv: true}
	for i, want := range []Backend{{Name: "app", FastCGI: &app}, {Name: "own", FastCGI: &own}, {Name: "assets", Files: &Files{Root: "a.dir"}}} {
		if have := cfg.Backends[i]; !reflect.DeepEqual(have, want) {
			t.Errorf("have %+v\nwant %+v", have, want)
		}
	}
	if want := (Spool{Memory: 64 * KiB, MaxMemory: 64 * MiB, MaxTotal: 4 * GiB}); cfg.Limits.Spool != want {
		t.Errorf("have %+v\nwant %+v", cfg.Limits.Spool, want)
	}
}

func TestEverythingOfSites(t *testing.T) {
	cfg := mustParse(t, `
listeners: {web: {http: {address: ":80"}}}
backends:
  app:
    fastcgi:
      addresses: ["unix:run/a.sock", "unix:/run/b.sock", "[::1]:9000"]
      root: a.dir
      server_root: /app/public
      index: [app.php, index.html]
      split_path: [.php, .php5]
      try: ["{path}", $uri.html, "/site{path}", "{path}/", "/app.php", "=404"]
      cache_control: max-age=60
      hide: ["*.bak", vendor]
      env: {APP_ENV: prod, EMPTY: "", N: 1}
      balance: {by: least_conn, max_fails: 1, fail_timeout: 1m}
      health: {path: /ping}
      dial_timeout: 1s
      response_timeout: 2s
      read_timeout: 3s
      keep_alive: 4
      idle_timeout: 5s
      stream_body: true
      send_file: {root: b.dir, prefix: /protected}
      charset: iso-8859-1
      types: {.glb: model/gltf-binary}
  assets: {files: {root: a.dir, index: [start.html], cache_control: no-cache, hide: ["*~"], charset: utf-8, types: {.x: text/x; charset=y}, try: ["{path}", /start.html], browse: true, precompressed: [br, gzip]}}
routes:
  - {match: {paths: [/assets/*]}, backend: assets, compress: true}
  - {backend: app, encoded_slashes: true}
limits: {spool: {memory: 1MiB, max_memory: 2MiB, dir: c.dir, max_total: 1GiB}}
`)
	app := &FastCGI{
		Addresses:  []string{"unix:run/a.sock", "unix:/run/b.sock", "[::1]:9000"},
		Root:       "a.dir",
		ServerRoot: "/app/public",
		Index:      []string{"app.php", "index.html"},
		SplitPath:  []string{".php", ".php5"},
		Try:        []string{"{path}", "$uri.html", "/site{path}", "{path}/", "/app.php", "=404"},

		CacheControl: "max-age=60",
		Hide:         []string{"*.bak", "vendor"},
		Env:          map[string]string{"APP_ENV": "prod", "EMPTY": "", "N": "1"},
		Balance:      Balance{By: "least_conn", MaxFails: 1, FailTimeout: time.Minute},
		Health:       &Health{Path: "/ping", Interval: 5 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3},
		DialTimeout:  time.Second, ResponseTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second,
		KeepAlive: 4, IdleTimeout: 5 * time.Second, StreamBody: true,
		SendFile: &SendFile{Root: "b.dir", Prefix: "/protected"},
		Charset:  "iso-8859-1", Types: map[string]string{".glb": "model/gltf-binary"},
	}
	assets := &Files{Root: "a.dir", Index: []string{"start.html"}, CacheControl: "no-cache", Hide: []string{"*~"}, Charset: "utf-8", Types: map[string]string{".x": "text/x; charset=y"},
		Try: []string{"{path}", "/start.html"}, Browse: true, Precompressed: []string{"br", "gzip"}}
	for _, part := range []struct{ have, want any }{
		{cfg.Backends[0].FastCGI, app}, {cfg.Backends[1].Files, assets},
		{cfg.Limits.Spool, Spool{Memory: MiB, MaxMemory: 2 * MiB, Dir: "c.dir", MaxTotal: GiB}},
		{*cfg.Routes[0].Compress, Compress{Enabled: true, MinSize: KiB}}, {cfg.Routes[1].EncodedSlashes, true}, {cfg.Routes[1].Compress, (*Compress)(nil)},
	} {
		if !reflect.DeepEqual(part.have, part.want) {
			t.Errorf("have %+v\nwant %+v", part.have, part.want)
		}
	}
}

func TestSiteErrors(t *testing.T) {
	at := func(text string) string { return fpm(`addresses: ["a:1"], ` + text) }
	socket := func(address string) string { return fpm(`addresses: ["` + address + `"]`) }
	try := func(entry string) string { return at(`try: ["` + entry + `"]`) }
	for _, c := range []struct{ name, text, want string }{
		{"nobody answers", fpm(``), "3:28: backends.site.fastcgi: no server is given; set addresses to those of PHP-FPM, or spawn for a php-cgi of mkd's own"},
		{"both answer", fpm(`addresses: ["a:1"], spawn: {}`), "3:69: backends.site.fastcgi.spawn: it has both addresses and spawn; keep the one that the site runs on"},
		{"no root", withLine("backends", `backends: {site: {fastcgi: {addresses: ["a:1"]}}}`), "3:19: backends.site.fastcgi.root: the key is missing, and must be given"},
		{"missing root", withLine("backends", `backends: {site: {fastcgi: {addresses: ["a:1"], root: missing}}}`), "3:55: backends.site.fastcgi.root: missing doesn't exist; relative paths start at the folder of the configuration file"},
		{"a file as root", withLine("backends", `backends: {site: {fastcgi: {addresses: ["a:1"], root: file}}}`), "3:55: backends.site.fastcgi.root: file isn't a folder"},
		{"no addresses", fpm(`addresses: []`), "3:53: backends.site.fastcgi.addresses: it is empty; it must have one entry at least"},
		{"an url", socket("http://a:9000"), `3:54: backends.site.fastcgi.addresses[0]: got "http://a:9000"; want host:port, as in 127.0.0.1:9000, or unix:/path of a socket`},
		{"a path", socket("/run/php.sock"), `3:54: backends.site.fastcgi.addresses[0]: got "/run/php.sock"; want host:port, as in 127.0.0.1:9000, or unix:/path of a socket`},
		{"no port", socket("localhost"), `3:54: backends.site.fastcgi.addresses[0]: got "localhost"; want host:port, as in 127.0.0.1:9000, or unix:/path of a socket`},
		{"port 0", socket("localhost:0"), `3:54: backends.site.fastcgi.addresses[0]: got "localhost:0"; want host:port, as in 127.0.0.1:9000, or unix:/path of a socket`},
		{"no host", socket(":9000"), `3:54: backends.site.fastcgi.addresses[0]: got ":9000"; want host:port, as in 127.0.0.1:9000, or unix:/path of a socket`},
		{"no socket", socket("unix:"), `3:54: backends.site.fastcgi.addresses[0]: got "unix:"; want the path of a socket, as in unix:/run/app.sock`},
		{"the same twice", fpm(`addresses: ["a:1", "b:1", "a:1"]`), "3:68: backends.site.fastcgi.addresses[2]: it is the same as addresses[0]; take one out"},
		{"the same socket", fpm(`addresses: ["unix:a", "unix:./x/../a"]`), "3:64: backends.site.fastcgi.addresses[1]: it is the same as addresses[0]; take one out"},
		{"server root", at(`server_root: app/public`), `3:75: backends.site.fastcgi.server_root: got "app/public"; want a whole path, which begins with / and has no / at its end`},
		{"server root's slash", at(`server_root: /app/`), `3:75: backends.site.fastcgi.server_root: got "/app/"; want a whole path, which begins with / and has no / at its end`},
		{"index with a folder", at(`index: [public/index.php]`), `3:70: backends.site.fastcgi.index[0]: got "public/index.php"; want the name of a file, as in index.html`},
		{"index of nothing", at(`index: [..]`), `3:70: backends.site.fastcgi.index[0]: got ".."; want the name of a file, as in index.html`},
		{"extension", at(`split_path: [php]`), `3:75: backends.site.fastcgi.split_path[0]: got "php"; want the end of a name, as in .php`},
		{"extension with a slash", at(`split_path: [.php/]`), `3:75: backends.site.fastcgi.split_path[0]: got ".php/"; want the end of a name, as in .php`},
		{"try with a query", try("/index.php?$query_string"), `3:68: backends.site.fastcgi.try[0]: got "/index.php?$query_string"; want {path}, {path}/, {path}.html, a path such as /index.php without a query, which requests keep anyway, or =404`},
		{"try with arguments", try("/index.php$is_args$args"), `3:68: backends.site.fastcgi.try[0]: got "/index.php$is_args$args"; want {path}, {path}/, {path}.html, a path such as /index.php without a query, which requests keep anyway, or =404`},
		{"try a name", try("index.php"), `3:68: backends.site.fastcgi.try[0]: got "index.php"; want a path, which begins with /`},
		{"try twice the path", try("{path}{path}"), `3:68: backends.site.fastcgi.try[0]: got "{path}{path}"; want {path}, {path}/, {path}.html, a path such as /index.php without a query, which requests keep anyway, or =404`},
		{"try upwards", try("/../{path}"), `3:68: backends.site.fastcgi.try[0]: got "/../{path}"; it can never match: double slashes and dot segments are resolved before paths are compared`},
		{"try another status", try("=403"), `3:68: backends.site.fastcgi.try[0]: got "=403"; want a path, which begins with /`},
		{"try a location", try("@app"), `3:68: backends.site.fastcgi.try[0]: got "@app"; want a path, which begins with /`},
		{"try after the end", at(`try: ["=404", /index.php]`), "3:68: backends.site.fastcgi.try[0]: it ends what is tried; take out what follows it"},
		{"cache control", at(`cache_control: "a\nb"`), `3:77: backends.site.fastcgi.cache_control: got "a\nb"; the value of a header field has no line ends and no other control characters`},
		{"hide a path", at(`hide: [vendor/x]`), `3:69: backends.site.fastcgi.hide[0]: got "vendor/x"; want a pattern of names, as in *.bak`},
		{"hide no pattern", at(`hide: ["[a"]`), `3:69: backends.site.fastcgi.hide[0]: got "[a"; want a pattern of names, as in *.bak`},
		{"env", at(`env: {"A=B": c}`), `3:68: backends.site.fastcgi.env."A=B": a name can't have = or a line end in it`},
		{"keep_alive", at(`keep_alive: true`), "3:74: backends.site.fastcgi.keep_alive: got true; want a whole number"},
		{"stream_body", at(`stream_body: "no"`), `3:75: backends.site.fastcgi.stream_body: got "no"; want true or false`},
		{"send_file without a root", at(`send_file: {prefix: /x}`), "3:62: backends.site.fastcgi.send_file.root: the key is missing, and must be given"},
		{"send_file's prefix", at(`send_file: {root: b.dir, prefix: x/}`), `3:95: backends.site.fastcgi.send_file.prefix: got "x/"; want a path without a / or * at its end, as in /api`},
		{"balance", at(`balance: {by: hash}`), `3:76: backends.site.fastcgi.balance.by: got "hash"; want round_robin, least_conn, random_two, ip_hash or header`},
		{"health's status", at(`health: {path: /ping, status: 100}`), "3:92: backends.site.fastcgi.health.status: got 100; want 200 to 599, or 0 for any from 200 to 399"},
		{"types", at(`types: {.a: "a/b\nc"}`), `3:70: backends.site.fastcgi.types..a: want a media type, as in text/plain; charset=utf-8`},
		{"mistyped", at(`keepalive: 1`), `3:62: backends.site.fastcgi.keepalive: unknown key; did you mean "keep_alive"?`},
		{"health of spawn", fpm(`spawn: {}, health: {path: /ping}`), "3:61: backends.site.fastcgi.health: php-cgi has no ping.path, so every check would fail; take it out: mkd sees itself whether its processes run"},
		{"spawn's workers", fpm(`spawn: {workers: 0}`), "3:59: backends.site.fastcgi.spawn.workers: got the number 0; want 1 to 1024"},
		{"spawn's ini", fpm(`spawn: {ini: {"a b": c}}`), `3:56: backends.site.fastcgi.spawn.ini."a b": a PHP setting has a plain name, as in opcache.enable`},

		{"files without a root", files(``), "3:19: backends.site.files.root: the key is missing, and must be given"},
		{"files' index", files(`root: a.dir, index: [a/b]`), `3:48: backends.site.files.index[0]: got "a/b"; want the name of a file, as in index.html`},
		{"files' pattern", files(`root: a.dir, hide: ["a/*"]`), `3:47: backends.site.files.hide[0]: got "a/*"; want a pattern of names, as in *.bak`},
		{"files' list", files(`root: a.dir, hide: "*.bak"`), `3:46: backends.site.files.hide: got "*.bak"; want a list, as in ["*.bak"]`},
		{"files' charset", files(`root: a.dir, charset: "utf 8"`), `3:49: backends.site.files.charset: got "utf 8"; want the name of a charset, as in utf-8 or iso-8859-1`},
		{"files' extension", files(`root: a.dir, types: {gltf: model/gltf+json}`), `3:48: backends.site.files.types.gltf: want the end of a name, as in .php`},
		{"files' long extension", files(`root: a.dir, types: {.tar.gz: a/b}`), `3:48: backends.site.files.types..tar.gz: only what follows the last dot of a name counts, as in .gz`},
		{"files' upper extension", files(`root: a.dir, types: {.GLB: a/b}`), `3:48: backends.site.files.types..GLB: extensions are compared in lower case; write .glb`},
		{"files' type", files(`root: a.dir, types: {.glb: model}`), `3:48: backends.site.files.types..glb: want a media type, as in text/plain; charset=utf-8`},
		{"files try a script", files(`root: a.dir, try: ["{path}", /index.php]`), `3:56: backends.site.files.try[1]: a files backend serves no scripts; use a fastcgi or php backend for them`},
		{"files try after the end", files(`root: a.dir, try: ["=404", /index.html]`), "3:46: backends.site.files.try[0]: it ends what is tried; take out what follows it"},
		{"files' coding", files(`root: a.dir, precompressed: [deflate]`), `3:56: backends.site.files.precompressed[0]: got "deflate"; want zstd, br or gzip`},
		{"files' coding twice", files(`root: a.dir, precompressed: [br, gzip, br]`), "3:66: backends.site.files.precompressed[2]: br is a duplicate; take one out"},
		{"files list folders", files(`root: a.dir, autoindex: true`), "3:40: backends.site.files.autoindex: unknown key; known here: root, index, try, browse, precompressed, cache_control, charset, types, hide"},

		{"spool's memory", spool(`memory: 512B`), `5:26: limits.spool.memory: got "512B"; want 1KiB to 1GiB`},
		{"spool's folder", spool(`dir: missing`), "5:23: limits.spool.dir: missing doesn't exist; relative paths start at the folder of the configuration file"},
		{"spool's total", spool(`max_total: 4GB`), `5:29: limits.spool.max_total: got "4GB"; the units of a size are B, KiB, MiB, GiB and TiB; did you mean 4GiB?`},
		{"compress", routes(`[{backend: site, compress: gzip}]`), `4:36: routes[0].compress: got "gzip"; want true, false, or keys with values, as in {algorithms: [br, gzip]}`},
		{"compress by deflate", routes(`[{backend: site, compress: {algorithms: [deflate]}}]`), `4:50: routes[0].compress.algorithms[0]: got "deflate"; want zstd, br or gzip`},
		{"compress twice", routes(`[{backend: site, compress: {algorithms: [br, br]}}]`), `4:54: routes[0].compress.algorithms[1]: br is a duplicate; take one out`},
		{"compress nothing", routes(`[{backend: site, compress: {types: []}}]`), `4:44: routes[0].compress.types: it is empty; take it out for the default`},
		{"compress a type", routes(`[{backend: site, compress: {types: [html]}}]`), `4:45: routes[0].compress.types[0]: got "html"; want a media type without parameters, as in application/json, or text/* for all of a kind`},
		{"compress all", routes(`[{backend: site, compress: {types: ["*/*"]}}]`), `4:45: routes[0].compress.types[0]: got "*/*"; want a media type without parameters, as in application/json, or text/* for all of a kind`},
		{"compress a type's case", routes(`[{backend: site, compress: {types: [Text/HTML]}}]`), `4:45: routes[0].compress.types[0]: got "Text/HTML"; types are compared in lower case; write text/html`},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, c.text, c.want) })
	}
}

func TestSiteWarnings(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing odd", fpm(`addresses: ["a:1"], keep_alive: 1, idle_timeout: 1s, health: {path: /ping}`), ""},
		{"idle without keep_alive", fpm(`addresses: ["a:1"], idle_timeout: 1s`), "3:76: backends.site.fastcgi.idle_timeout: it has no effect without keep_alive: no connection is kept"},
		{"health without a path", fpm(`addresses: ["a:1"], health: {}`), "3:62: backends.site.fastcgi.health.path: PHP-FPM responds to a check at its ping.path alone; give that, as in /ping"},
		{"health of a page", fpm(`addresses: ["a:1"], health: {path: /}`), "3:77: backends.site.fastcgi.health.path: PHP-FPM responds to a check at its ping.path alone; give that, as in /ping"},
	} {
		t.Run(c.name, func(t *testing.T) { wantWarnings(t, c.text, c.want) })
	}
}
