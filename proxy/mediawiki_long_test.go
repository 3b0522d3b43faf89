//go:build linux && long

package proxy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLongMediaWiki runs MediaWiki as Debian packages it on PHP-FPM and SQLite: a
// login, an edit, an upload with a smaller picture, titles with slashes, and REST
// with encoded ones, over HTTP and Megaki. What a visitor sees is compared with
// nginx. It is long because of the copy of the site and its installation.
func TestLongMediaWiki(t *testing.T) {
	f := startFPM(t, 4, nil)
	copyPackage(t, "mediawiki", "/usr/share/mediawiki", f.public, []string{"LocalSettings.php", "config", "images"}, []string{"images", "../wiki"})
	install := exec.Command("php", filepath.Join(f.public, "maintenance", "install.php"), "--dbtype=sqlite", "--dbpath="+filepath.Join(f.dir, "wiki"),
		"--server=http://wiki.example.org", "--scriptpath=", "--pass=open sesame, please", "--with-extensions=", "The Wiki", "Admin")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("the installation: %v: %.3000s", err, out)
	}
	giveTo(t, "www-data", filepath.Join(f.dir, "wiki"))
	settings := filepath.Join(f.public, "LocalSettings.php")
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	more := `
$wgServer = '//wiki.example.org'; $wgCanonicalServer = 'http://wiki.example.org';
$wgArticlePath = '/wiki/$1'; $wgUsePathInfo = true; $wgEnableUploads = true; $wgUseImageMagick = false;
$wgTmpDirectory = '` + filepath.Join(f.dir, "wiki") + `'; $wgMainCacheType = CACHE_NONE; $wgJobRunRate = 0; $wgPasswordAttemptThrottle = [];
$wgNamespacesWithSubpages[NS_MAIN] = true; $wgRateLimits = [];
`
	if err := os.WriteFile(settings, append(text, more...), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_message: 16MiB}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  wiki:
    fastcgi:
      addresses: ["unix:`+f.dir+`/s"]
      root: `+f.public+`
      try: ["{path}", "{path}/", /index.php]
      hide: [maintenance, vendor, includes]
routes: [{name: wiki, encoded_slashes: true, backend: wiki, compress: true}]
`))
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			visitMediaWiki(t, &visitor{t, p, way.send, map[string]string{}}, fmt.Sprint("Page", i))
		})
	}
	sameAsNginx(t, p, f, []string{"/", "/wiki/Main_Page", "/wiki/main_Page", "/wiki/Page0", "/wiki/Page0/Sub_page", "//wiki//Page0", "/wiki/Page0%2FSub_page", "/index.php?title=Page0", "/index.php/Page0",
		"/index.php/Page0/Sub_page", "/wiki/Nothing_here", "/wiki/Special:Version", "/api.php?action=query&meta=siteinfo&format=json", "/rest.php/v1/page/Page0", "/rest.php/v1/page/Page0%2FSub_page", "/rest.php/v1/page/Page0/Sub_page",
		"/load.php?modules=startup&only=scripts", "/resources/assets/poweredby_mediawiki_88x31.png", "/wiki/C%2B%2B", "/wiki/A&B", "/wiki/%C3%9C"})
}

func visitMediaWiki(t *testing.T, v *visitor, name string) {
	resp, body := v.do("GET", "/", "", "")
	if resp.StatusCode != 301 || !strings.HasSuffix(resp.Header.Get("Location"), "//wiki.example.org/wiki/Main_Page") {
		t.Fatalf("the root: %s %q %.300s", resp.Status, resp.Header, body)
	}
	if page := v.page("/wiki/Main_Page"); !strings.Contains(page, "The Wiki") || !strings.Contains(page, "/load.php?") {
		t.Fatalf("the main page: %.3000s", page)
	}
	for _, target := range []string{"/LocalSettings.php~", "/maintenance/update.php", "/includes/Setup.php", "/.htaccess", "/../wiki/my_wiki.sqlite"} {
		if resp, body := v.do("GET", target, "", ""); resp.StatusCode == 200 { // MediaWiki may know the title

			t.Errorf("%s: %s %.300s", target, resp.Status, body)
		}
	}
	// Log in, by the form.
	login := inputs(v.page("/index.php?title=Special:UserLogin"))
	login.Del("title") // of the search, which is another form of the page
	login.Set("wpName", "Admin")
	login.Set("wpPassword", "open sesame, please")
	if to := v.post("/index.php?title=Special:UserLogin&returnto=Main+Page", login); to != "/wiki/Main_Page" {
		t.Fatalf("the login leads to %s", to)
	}
	if page := v.page("/wiki/Main_Page"); !strings.Contains(page, "Special:UserLogout") {
		t.Fatalf("after the login: %.3000s", page)
	}
	// Edit, by the form, a page and one below it.
	for _, title := range []string{name, name + "/Sub page"} {
		edit := inputs(v.page("/index.php?action=edit&title=" + url.QueryEscape(title)))
		edit.Set("wpTextbox1", "== A page by "+name+" ==\n\nÜnïcödé & <nowiki><b>no tags</b></nowiki> "+strings.Repeat("long ", 20_000))
		edit.Set("wpSave", "Save")
		edit.Del("title")
		kind, form := form(t, flat(edit), "unused", "unused", nil) // as browsers send this form
		resp, body := v.do("POST", "/index.php?action=submit&title="+url.QueryEscape(title), kind, form)
		if v.want("the edit", resp, body, 302); !strings.HasSuffix(resp.Header.Get("Location"), "//wiki.example.org/wiki/"+strings.ReplaceAll(title, " ", "_")) {
			t.Fatalf("the edit leads to %s", resp.Header.Get("Location"))
		}
	}
	for _, target := range []string{"/wiki/" + name, "/wiki/" + name + "/Sub_page", "/wiki/" + name + "%2FSub_page", "/index.php/" + name + "/Sub_page"} {
		if page := v.page(target); !strings.Contains(page, "A page by "+name) || !strings.Contains(page, "Ünïcödé &amp; &lt;b&gt;no tags&lt;/b&gt; long long") {
			t.Fatalf("%s: %.3000s", target, page)
		}
	}
	// REST, where the slash of a title is encoded.
	var page struct{ Title, Source string }
	if err := json.Unmarshal([]byte(v.page("/rest.php/v1/page/"+name+"%2FSub_page")), &page); err != nil || page.Title != name+"/Sub page" || !strings.HasPrefix(page.Source, "== A page by "+name) {
		t.Errorf("REST: %v, %.300q", err, page)
	}
	// Upload a picture by the API, and fetch it, and a smaller one.
	var tokens struct {
		Query struct{ Tokens struct{ CSRFToken string } }
	}
	if err := json.Unmarshal([]byte(v.page("/api.php?action=query&meta=tokens&format=json")), &tokens); err != nil {
		t.Fatal(err)
	}
	picture := somePicture(t)
	kind, upload := form(t, map[string]string{"action": "upload", "filename": name + ".png", "ignorewarnings": "1", "format": "json", "token": tokens.Query.Tokens.CSRFToken}, "file", "a picture.png", picture)
	resp, body = v.do("POST", "/api.php", kind, upload)
	v.want("the upload", resp, body, 200)
	var uploaded struct {
		Upload struct {
			Result    string
			ImageInfo struct{ URL string }
		}
	}
	if err := json.Unmarshal([]byte(body), &uploaded); err != nil || uploaded.Upload.Result != "Success" {
		t.Fatalf("the upload: %v, %.2000s", err, body)
	}
	source, err := url.Parse(uploaded.Upload.ImageInfo.URL)
	if err != nil {
		t.Fatal(err)
	}
	if resp, have := v.do("GET", source.Path, "", ""); resp.StatusCode != 200 || have != string(picture) || resp.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the picture %s: %s %q, %d bytes of %d", source.Path, resp.Status, resp.Header, len(have), len(picture))
	}
	if have := v.page("/thumb.php?f=" + name + ".png&width=50"); !strings.HasPrefix(have, "\x89PNG") || len(have) >= len(picture) {
		t.Errorf("the smaller picture: %.100q", have)
	}
	// And out again.
	out := inputs(v.page("/wiki/Special:UserLogout"))
	out.Set("title", "Special:UserLogout")
	if resp, body := v.do("POST", "/index.php", "application/x-www-form-urlencoded", out.Encode()); resp.StatusCode != 200 {
		t.Errorf("the logout: %s %.300s", resp.Status, body)
	}
	if page := v.page("/wiki/Main_Page"); strings.Contains(page, "Special:UserLogout") {
		t.Error("still logged in")
	}
}
