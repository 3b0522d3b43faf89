//go:build linux

package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// whoami prints which file runs, and what it gets of the path.
const whoami = `<?php echo 'ran ', substr(__FILE__, strlen($_SERVER['DOCUMENT_ROOT'])), ' as ', $_SERVER['SCRIPT_NAME'],
	' with ', rawurlencode($_SERVER['PATH_INFO'] ?? ''), ini_get('auto_prepend_file');`

// TestFPMPaths asks a real PHP-FPM for paths that have led servers to run the
// wrong script, or to give its source away. Each is asked for at a site without
// a front controller, where it must not be found unless the table names what runs,
// and at one with.
func TestFPMPaths(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "out.php"), []byte(whoami), 0o644); err != nil {
		t.Fatal(err)
	}
	f := startFPM(t, 2, map[string]string{
		"index.php":           whoami,
		"admin/index.php":     whoami,
		"a b.php":             whoami,
		"upload/a.jpg":        "<?php echo 'ran the picture';",
		"upload/b.php.jpg":    "<?php echo 'ran the picture';",
		"upload/c.php%00.jpg": "<?php echo 'ran the picture';",
		".hidden.php":         whoami,
		".git/config":         "ran the secret",
		"vendor/x.php":        whoami,
		"x.PHP":               whoami,
		"x.phtml":             whoami,
		"x.php7":              whoami,
		"x.phps":              whoami,
		"x.php~":              whoami,
		"x.php.bak":           whoami,
		"y.php.":              whoami,
		"z.php ":              whoami,
		"folder.php/in.php":   whoami,
		"folder.php/a.txt":    "a text",
		"page.html":           "a page",
		"../secret.php":       whoami,
	})
	for name, to := range map[string]string{
		"link.php":     "index.php",
		"shown.txt":    "index.php",
		"out.php":      filepath.Join(outside, "out.php"),
		"out":          outside,
		"up.php":       "../secret.php",
		"picture.php":  "upload/a.jpg",
		"absolute.php": filepath.Join(f.public, "index.php"),
		"loop.php":     "loop.php",
	} {
		if err := os.Symlink(to, filepath.Join(f.public, name)); err != nil {
			t.Fatal(err)
		}
	}
	site := `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + `, hide: [vendor]`
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  plain: {`+site+`}}
  front: {`+site+`, try: ["{path}", "{path}/", /index.php]}}
  files: {files: {root: `+f.public+`}}
routes:
  - {match: {hosts: [front.example]}, backend: front}
  - {match: {hosts: [files.example]}, backend: files}
  - {match: {hosts: [sub.example]}, strip_prefix: /sub/site, backend: plain}
  - {backend: plain}
`))
	const index = "ran /index.php as /index.php with "
	long := strings.Repeat("A", 4000)
	for target, want := range map[string]string{ // "": 404, and the front controller at the site with one; "400": 400 everywhere
		"/":                               index,
		"/index.php":                      index,
		"/index.php/a/b":                  index + "%2Fa%2Fb",
		"/index.php/upload/a.jpg":         index + "%2Fupload%2Fa.jpg",
		"/index.php?x=/upload/a.jpg":      index,
		"/a%20b.php/c":                    "ran /a b.php as /a b.php with %2Fc",
		"/admin/":                         "ran /admin/index.php as /admin/index.php with ",
		"/link.php/x":                     "ran /index.php as /link.php with %2Fx",
		"/folder.php/in.php/x":            "ran /folder.php/in.php as /folder.php/in.php with %2Fx",
		"/folder.php/a.txt":               "a text",
		"/page.html":                      "a page",
		"/upload/a.jpg":                   "<?php echo 'ran the picture';", // a picture, for all that the server knows
		"/upload/a.jpg/x.php":             "",
		"/upload/a.jpg/.php":              "",
		"/upload/a.jpg/index.php":         "",
		"/upload/a.jpg%00.php":            "400",
		"/upload/a.jpg%00/x.php":          "400",
		"/upload/a.jpg%20.php":            "",
		"/upload/a.jpg.php":               "",
		"/upload/b.php.jpg/x.php":         "",
		"/upload/c.php%2500.jpg":          "",
		"/upload/c.php%00.jpg":            "400",
		"/index.php%00":                   "400",
		"/index.php/%00":                  "400",
		"/index.php%2Fx":                  "404",
		"/index.php/..%2Fadmin/index.php": "400",
		"/index.php/a%2fb":                "404",
		"/index.php%5Cx":                  "404",
		"/upload%5Ca.jpg":                 "404",
		"/index.php/%5C":                  "404",
		"/upload/a.jpg%2fx.php":           "404",
		"/upload/../index.php":            index,
		"/upload/%2e%2e/index.php":        index,
		"/upload/%252e%252e/index.php":    "",
		"/../secret.php":                  "400",
		"/..%2Fsecret.php":                "400",
		"/%2e%2e/secret.php":              "400",
		"/index.php/../../secret.php":     "400",
		"/index.php/../admin/":            "ran /admin/index.php as /admin/index.php with ",
		"/up.php":                         "404",
		"/out.php":                        "404",
		"/out/out.php":                    "404",
		"/absolute.php":                   "404",
		"/picture.php":                    "404",
		"/loop.php":                       "404",
		"/shown.txt":                      "404",
		"/.hidden.php":                    "",
		"/.git/config":                    "",
		"/.git/x.php":                     "",
		"/vendor/x.php":                   "",
		"/VENDOR/x.php":                   "",
		"/index.PHP":                      "",
		"/Index.php":                      "",
		"/x.PHP":                          "",
		"/x.php":                          "",
		"/x.phtml":                        "",
		"/x.php7":                         "",
		"/x.phps":                         "",
		"/x.php~":                         "",
		"/x.php.bak":                      "",
		"/y.php.":                         "",
		"/y.php":                          "",
		"/z.php%20":                       "",
		"/z.php":                          "",
		"/index.php.":                     "",
		"/index.php%20":                   "",
		"/index.php~":                     "",
		"/index.php;a":                    "",
		"/index.php::$DATA":               "",
		"/index.php%0a":                   "",
		"/index.php%0a/x":                 "",
		"/index.phpx":                     "",
		"/%69ndex.php":                    index,
		"//index.php//x":                  index + "%2Fx",
		"/./index.php":                    index,
		"/none.php":                       "",
		"/none.php/index.php":             "",
		"/none":                           "",
		"/.php":                           "",
		"/index%C4%B1.php":                "", // whose upper case has a letter I, a byte shorter
		"/%E2%84%AA.php/index.php":        "",
		// CVE-2019-11043: a line end in the path info, with a query whose length
		// moves a pointer of PHP-FPM's to where the path info is thought to end.
		"/index.php/PHP_VALUE%0Aauto_prepend_file=/etc/passwd;?" + long: index + "%2FPHP_VALUE%0Aauto_prepend_file%3D%2Fetc%2Fpasswd%3B",
		"/index.php/%0A": index + "%2F%0A",
		"/index.php%0A/PHP_VALUE%0Aauto_prepend_file=x?" + long: "",
	} {
		for _, host := range []string{"plain.example", "front.example"} {
			for _, way := range ways {
				name := way.name + " " + host + " " + target
				if len(name) > 100 {
					name = name[:100]
				}
				response := way.send(t, p, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
				if response == nil {
					t.Errorf("%s: no answer", name)
					continue
				}
				resp, body := parseResponse(t, response, "GET")
				status := 200
				wantBody := want
				switch want {
				case "":
					if status, wantBody = 404, "404 Not Found\n"; host == "front.example" {
						status, wantBody = 200, index
					}
				case "404":
					status, wantBody = 404, "404 Not Found\n"
				case "400":
					status, wantBody = 400, body
				}
				if resp.StatusCode != status || body != wantBody {
					t.Errorf("%s: %d %.100q, want %d %q", name, resp.StatusCode, body, status, wantBody)
				}
				if strings.Contains(resp.Header.Get("Content-Type"), "php") {
					t.Errorf("%s: %q", name, resp.Header)
				}
			}
		}
		// As mere files, none of it runs, and no source is shown.
		resp, body := parseResponse(t, ways[1].send(t, p, "GET "+target+" HTTP/1.1\r\nHost: files.example\r\n\r\n"), "GET")
		if isFile := !strings.HasPrefix(want, "ran") && len(want) > 3; isFile && body != want || !isFile && resp.StatusCode < 400 {
			t.Errorf("files %.100s: %d %.100q", target, resp.StatusCode, body)
		}
	}
	// Below a prefix, scripts and redirects know it.
	for target, want := range map[string]string{
		"/sub/site/":            "ran /index.php as /sub/site/index.php with ",
		"/sub/site":             "ran /index.php as /sub/site/index.php with ",
		"/sub/site/index.php/x": "ran /index.php as /sub/site/index.php with %2Fx",
		"/sub/site/admin?q":     "Location: /sub/site/admin/?q\r\n",
		"/admin":                "Location: /admin/\r\n",
	} {
		for _, way := range ways {
			if response := way.send(t, p, "GET "+target+" HTTP/1.1\r\nHost: sub.example\r\n\r\n"); !strings.Contains(string(response), want) {
				t.Errorf("%s %s: %q", way.name, target, response)
			}
		}
	}
}

// TestFPMReleaseLink: a release symlink that moves is followed by the next
// request, in scripts, in what they include, and in files.
func TestFPMReleaseLink(t *testing.T) {
	files := map[string]string{}
	for _, n := range []string{"1", "2"} {
		files["../releases/"+n+"/public/index.php"] = `<?php require __DIR__ . '/../lib.php'; echo release(), ' ', strrchr(dirname($_SERVER['DOCUMENT_ROOT']), '/');`
		files["../releases/"+n+"/lib.php"] = `<?php function release() { return ` + n + `; }`
		files["../releases/"+n+"/public/version.txt"] = n
	}
	f := startFPM(t, 1, files)
	current := filepath.Join(f.dir, "current")
	point := func(to string) {
		t.Helper()
		if err := os.Symlink("releases/"+to, current+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".new", current); err != nil {
			t.Fatal(err)
		}
	}
	point("1")
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+current+`/public}}
routes: [{backend: site}]
`))
	for _, n := range []string{"1", "2", "1", "2"} {
		point(n)
		for _, way := range ways {
			for target, want := range map[string]string{"/": n + " /" + n, "/version.txt": n} {
				if _, body := parseResponse(t, way.send(t, p, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n"), "GET"); body != want {
					t.Errorf("%s %s: %q, want %q", way.name, target, body, want)
				}
			}
		}
	}
}
