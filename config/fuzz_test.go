package config

import (
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzLoad: whatever the bytes are, they are a configuration or have errors
// with places; and a configuration, written out with all its defaults, is read
// as the same again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(minimal))
	if data, err := os.ReadFile("../config.yaml"); err == nil {
		f.Add(data)
	}
	for _, text := range []string{
		"", "\n", "---", "--- \n...\n---\n", "\ufeff", "%YAML 1.2\n---\n", "!!map {}", "&a [*a]", "&a {*a : *a}", "*a", "<<: *a",
		"? ", "? ? ? ", "- - - -", "{", "[", "{[]: {}}", "\"", "'", "|\n", ">-\n x", "a: |1\n  b", "a:\n\tb", "a: b: c", "# c", "#\n-\n{",
		"a:\n.\n-\n", "0: [:!00 \xef", "a: !!binary x", "\xff\xfe", "a: \x00", "a: &b\n  # c\n  d: *b\n# e\n\n# f\n",
		"listeners:\n  # a\n  app: # b\n    # c\n\n  # d\nbackends:\n",
		minimal + "log: {level: info, access: true, format: \"\\u0061uto\"}\nsessions: {ttl: 1h, capacity: 5}\nlimits:\n",
		php(`env: {"a\u2028": "\x7f\u00e9\U0001F600"}, ini: {a: 0x1F, b: 2001-01-01, c: .inf}, workers: {max: 1}, memory_limit: 0`),
		megaki(`address: "[fe80::1%eth0]:0", keys: &k [a, /b/../c], handshakes_per_ip: {rate: 1e3, burst: 2}, max_message: 1B`),
		routes("[{match: {payload: raw, listeners: [app]}, backend: site, timeout: 1m30s}, {backend: site}]"),
		everyWeb,
		https(`tls: {internal: true}, hosts: [a, "*.b", "::1"]`),
		https(`tls: {acme: {agree_terms: true, email: a@b, ca: "http://[::1]:14000/dir"}}, hosts: [a.b]`),
		https(`tls: {cert: c, key: dir/k}, min_rate: 0, max_header: 1KiB, proxy_protocol: {from: [::/0]}`),
		upstreams(`upstreams: [{url: "unix:a/../b"}, {url: "HTTP://[::1]:80/"}, {url: "https://a%62"}], health: {}, balance: {by: random_two}`),
		routes(`[{redirect: {to: "http://{host}:1{uri}#a"}, match: {from: ["fe80::/10"], hosts: ["[::1]"]}}, {respond: {body: "\u00e9\n"}, raw: {}}]`),
		routes(`[{redirect: {to: "/a?b={path}"}, rate_limit: {rate: 1e-3}, strip_prefix: "/\u00e9"}, {match: {paths: [/*, "*%2F", /%25]}, backend: site}]`),
		routes(`[{backend: site, headers: {request: {set: {A: "\u00e9\t!", "B!#": ""}, remove: [a, A]}, response: {add: {Set-Cookie: "a=b"}}}}]`),
		routes(`[{match: {headers: {A: "*", "b": "\"", "1": 2}, methods: [A!]}, backend: site, max_body: 0}, {backend: site}]`),
		withLine("backends", `backends: {site: {fastcgi: {addresses: ["unix:a/../b", "127.0.0.1:9000"], root: dir, try: ["{path}", /i.php, "=404"], send_file: {root: dir}}}}`),
		withLine("backends", `backends: {site: {fastcgi: {spawn: {ini: {a: 1}}, root: ./x/dir, split_path: [.php, .phar], hide: ["*.bak"], health: {}}}}`),
		withLine("backends", `backends: {site: {files: {root: dir, index: [a.html], cache_control: "max-age=60", hide: ["[a-z]*"]}}}`) + "limits: {spool: {memory: 1KiB, dir: dir}}\n",
		php(`env: {A: "${A}", B: "$${A}${EMPTY:-x}", C: {file: f}, D: "$$${", E: {file: "${A}"}}, user: "${UNSET:-a}"`),
		minimal + "include: [\"*.yaml\", b, \"${A}\", '[']\nsessions: {capacity: \"${NUMBER}\"}\n",
		minimal + "log: {output: stderr, access: false}\n",
		minimal + "log: {output: {file: ../x, mode: 0600}, access: {format: combined}}\n",
		minimal + "trusted_proxies: [0.0.0.0/0, 1.2.3.4/32, \"::ffff:0:0/95\"]\nstorage: /a/../dir\n",
	} {
		f.Add([]byte(text))
	}
	stat := func(path string) (fs.FileInfo, error) {
		if path == "storage" {
			return nil, fs.ErrNotExist
		}
		if strings.HasSuffix(path, "dir") {
			return fakeFile{mode: fs.ModeDir}, nil
		}
		return fakeFile{mode: 0o600}, nil
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := parse("f", data, ".", stat)
		if err != nil {
			errs := err.(Errors)
			if len(errs) == 0 || errs.Error() == "" {
				t.Fatal("no errors in an error")
			}
			lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u2028") +
				strings.Count(string(data), "\u2029") + strings.Count(string(data), "\u0085") + 1
			for _, e := range errs {
				if e.Message == "" || e.Line < 1 || e.Column < 1 || e.Line > lines+1 || strings.ContainsAny(e.Path, "\n\r \x00") && !strings.Contains(e.Path, `"`) {
					t.Fatalf("%q\nin %q", e, data)
				}
			}
			return
		}
		var b strings.Builder
		write(&b, reflect.ValueOf(cfg).Elem())
		again, err := parse("f", []byte(b.String()), ".", stat)
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, b.String())
		}
		cfg.Warnings, again.Warnings = nil, nil // they have places
		cfg.positions, again.positions = nil, nil
		if !reflect.DeepEqual(cfg, again) {
			t.Fatalf("%+v\nand again\n%+v\nin\n%s", cfg, again, b.String())
		}
	})
}

// asWritten returns a string as the file has it.
func asWritten(s string) string {
	return strconv.QuoteToASCII(strings.ReplaceAll(s, "${", "$${"))
}

// write writes a value in YAML's flow style.
func write(b *strings.Builder, v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Duration:
		b.WriteString(x.String())
		return
	case FileMode:
		b.WriteString(x.String())
		return
	case Size:
		b.WriteString(x.String())
		return
	case map[string]string:
		var pairs []string
		for key, value := range x {
			pairs = append(pairs, strconv.QuoteToASCII(key)+": "+asWritten(value))
		}
		slices.Sort(pairs)
		b.WriteString("{" + strings.Join(pairs, ", ") + "}")
		return
	}
	switch v.Kind() {
	case reflect.String:
		b.WriteString(asWritten(v.String()))
	case reflect.Pointer:
		write(b, v.Elem())
	case reflect.Slice:
		named := v.Type().Elem().Kind() == reflect.Struct && nameField(v.Type().Elem()) != nil
		b.WriteString(map[bool]string{true: "{", false: "["}[named])
		for i := range v.Len() {
			if named {
				fmt.Fprintf(b, "%q: ", v.Index(i).FieldByIndex(nameField(v.Type().Elem())))
			}
			write(b, v.Index(i))
			b.WriteString(", ")
		}
		b.WriteString(map[bool]string{true: "}", false: "]"}[named])
	case reflect.Struct:
		b.WriteString("{")
		for _, f := range fieldsOf(v.Type()) {
			fv := v.FieldByIndex(f.index)
			if f.name || !f.hasDef && fv.IsZero() {
				continue // without a default there may be no way to write what isn't given
			}
			b.WriteString(f.key + ": ")
			write(b, fv)
			b.WriteString(", ")
		}
		b.WriteString("}")
	default:
		fmt.Fprint(b, v.Interface())
	}
}
