//go:build linux && long

package proxy

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLongWordPress runs WordPress as Debian packages it, unchanged, on PHP-FPM and
// a MariaDB of its own: its installation, permalinks, a login, posts, an upload, a
// comment and the REST API, over HTTP and Megaki. What a visitor sees is compared
// with nginx. It is long because of the database and the copy of the site.
func TestLongWordPress(t *testing.T) {
	p, f := startWordPress(t, `define('WP_HOME', (empty($_SERVER['HTTPS']) ? 'http' : 'https') . '://wiki.example.org');`)
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			visitWordPress(t, &visitor{t, p, way.send, map[string]string{}}, fmt.Sprint("entry", i))
		})
	}
	if exists(filepath.Join(f.public, ".htaccess")) {
		t.Error("WordPress wrote a .htaccess, as for Apache")
	}
	sameAsNginx(t, p, f, []string{"/", "/sample-page/", "/sample-page", "//sample-page//", "/sample%2Dpage/", "/?p=1", "/?page_id=2", "/entry0/", "/ENTRY0/", "/feed/", "/feed", "/wp-json/", "/wp-json/wp/v2/posts",
		"/nothing-here/", "/wp-admin", "/wp-admin/", "/wp-login.php", "/wp-includes/css/buttons.css", "/wp-includes/js/jquery/jquery.js", "/wp-includes/", "/xmlrpc.php", "/wp-login.php/x", "/readme.html", "/wp-content/uploads/"})
}

// startWordPress installs WordPress. address is the line of its configuration that
// defines WP_HOME.
func startWordPress(t *testing.T, address string) (*Daemon, *fpm) {
	t.Helper()
	f := startFPM(t, 4, nil)
	copyPackage(t, "wordpress", "/usr/share/wordpress", f.public, []string{"wp-config.php", ".htaccess"}, []string{"wp-content/uploads"})
	socket := startMariaDB(t, f.dir)
	config := `<?php
define('DB_NAME', 'site'); define('DB_USER', 'root'); define('DB_PASSWORD', ''); define('DB_HOST', 'localhost:` + socket + `');
define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
` + address + `
define('WP_SITEURL', WP_HOME);
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`
	if err := os.WriteFile(filepath.Join(f.public, "wp-config.php"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_message: 16MiB}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  wordpress:
    fastcgi:
      addresses: ["unix:`+f.dir+`/s"]
      root: `+f.public+`
      try: ["{path}", "{path}/", /index.php]
routes: [{name: blog, backend: wordpress, compress: true}]
`))
	install := &visitor{t, p, ways[1].send, map[string]string{}}
	if resp, _ := install.do("GET", "/", "", ""); resp.StatusCode != 302 || !strings.HasSuffix(resp.Header.Get("Location"), "/wp-admin/install.php") {
		t.Fatalf("before the installation: %s, %q", resp.Status, resp.Header)
	}
	resp, page := install.do("POST", "/wp-admin/install.php?step=2", "application/x-www-form-urlencoded", url.Values{
		"weblog_title": {"The Blog"}, "user_name": {"admin"}, "admin_password": {"open sesame"}, "admin_password2": {"open sesame"}, "pw_weak": {"1"},
		"admin_email": {"admin@example.org"}, "Submit": {"Install WordPress"}, "language": {""}}.Encode())
	if install.want("the installation", resp, page, 200); !strings.Contains(page, "WordPress has been installed") {
		t.Fatalf("the installation: %.3000s", page)
	}
	return p, f
}

func visitWordPress(t *testing.T, v *visitor, name string) {
	if page := v.page("/"); !strings.Contains(page, "The Blog") {
		t.Fatalf("the front page: %.2000s", page)
	}
	// Log in.
	v.page("/wp-login.php") // for its test cookie
	if to := v.post("/wp-login.php", url.Values{"log": {"admin"}, "pwd": {"open sesame"}, "wp-submit": {"Log In"}, "redirect_to": {"/wp-admin/"}, "testcookie": {"1"}}); to != "/wp-admin/" {
		t.Fatalf("the login leads to %s", to)
	}
	if page := v.page("/wp-admin/"); !strings.Contains(page, "Howdy") {
		t.Fatalf("after the login: %.3000s", page)
	}
	// Permalinks: WordPress offers those without index.php only to servers that it
	// knows.
	permalinks := v.page("/wp-admin/options-permalink.php")
	if strings.Contains(permalinks, "index.php/%year%") || !strings.Contains(permalinks, `value="/%postname%/"`) {
		t.Fatal("WordPress offers no permalinks without index.php")
	}
	form1 := hidden(permalinks)
	form1.Set("_wpnonce", match1(t, `name="_wpnonce" value="([^"]+)"`, permalinks))
	form1.Set("_wp_http_referer", "/wp-admin/options-permalink.php")
	form1.Set("selection", "/%postname%/")
	form1.Set("permalink_structure", "/%postname%/")
	form1.Set("category_base", "")
	form1.Set("tag_base", "")
	form1.Set("submit", "Save Changes")
	if page := v.page(v.post("/wp-admin/options-permalink.php", form1)); !strings.Contains(page, "Permalink structure updated") || strings.Contains(page, ".htaccess file needs") {
		t.Fatalf("after the change of permalinks: %.3000s", page)
	}
	// A post, by REST.
	nonce := "X-WP-Nonce: " + strings.TrimSpace(v.page("/wp-admin/admin-ajax.php?action=rest-nonce"))
	text := "Ünïcödé & " + strings.Repeat("long ", 20_000)
	body, _ := json.Marshal(map[string]string{"title": "A post by " + name, "slug": name, "content": text, "status": "publish", "comment_status": "open"})
	resp, response := v.do("POST", "/wp-json/wp/v2/posts", "application/json", string(body), nonce)
	v.want("the post", resp, response, 201)
	var post struct {
		ID   int
		Link string
	}
	if err := json.Unmarshal([]byte(response), &post); err != nil || !strings.HasSuffix(post.Link, "://wiki.example.org/"+name+"/") {
		t.Fatalf("the post: %v, %+v", err, post)
	}
	if page := v.page("/" + name + "/"); !strings.Contains(page, "A post by "+name) || !strings.Contains(page, "Ünïcödé") || strings.Count(page, "long ") < 19_000 {
		t.Fatalf("the post by its permalink: %.3000s", page)
	}
	for _, target := range []string{"//" + name + "//", "/" + name, "/?p=" + fmt.Sprint(post.ID)} {
		resp, _ := v.do("GET", target, "", "")
		if to := resp.Header.Get("Location"); resp.StatusCode != 301 || to != post.Link {
			t.Errorf("%s: %s to %q, want %q", target, resp.Status, to, post.Link)
		}
	}
	// An upload: a form with a picture, of which WordPress makes smaller ones.
	picture := somePicture(t)
	kind, upload := form(t, map[string]string{"title": "A picture by " + name}, "file", name+".png", picture)
	resp, response = v.do("POST", "/wp-json/wp/v2/media", kind, upload, nonce)
	v.want("the upload", resp, response, 201)
	var media struct {
		SourceURL string `json:"source_url"`
		Details   struct {
			Sizes map[string]struct {
				SourceURL string `json:"source_url"`
			}
		} `json:"media_details"`
	}
	if err := json.Unmarshal([]byte(response), &media); err != nil {
		t.Fatal(err)
	}
	source, err := url.Parse(media.SourceURL)
	if err != nil {
		t.Fatal(err)
	}
	if resp, have := v.do("GET", source.Path, "", ""); resp.StatusCode != 200 || have != string(picture) || resp.Header.Get("Content-Type") != "image/png" {
		t.Errorf("the picture %s: %s %q, %d bytes of %d", source.Path, resp.Status, resp.Header, len(have), len(picture))
	}
	if resp, have := v.do("GET", source.Path, "", "", "Range: bytes=1-3"); resp.StatusCode != 206 || have != "PNG" {
		t.Errorf("a range of the picture: %s %q", resp.Status, have)
	}
	thumbnail, err := url.Parse(media.Details.Sizes["thumbnail"].SourceURL)
	if err != nil || thumbnail.Path == "" {
		t.Fatalf("no smaller picture: %v, %.2000s", err, response)
	}
	if have := v.page(thumbnail.Path); !strings.HasPrefix(have, "\x89PNG") {
		t.Errorf("the smaller picture: %.100q", have)
	}
	// A comment, by the form of the page.
	to := v.post("/wp-comments-post.php", url.Values{"comment": {"A comment by " + name}, "comment_post_ID": {fmt.Sprint(post.ID)}, "comment_parent": {"0"},
		"_wp_unfiltered_html_comment": {""}, "submit": {"Post Comment"}})
	if to, _, _ = strings.Cut(to, "#"); !strings.Contains(v.page(to), "A comment by "+name) {
		t.Errorf("the comment isn't on %s", to)
	}
	// Nobody writes without a login.
	stranger := &visitor{t, v.p, v.send, map[string]string{}}
	if resp, response := stranger.do("POST", "/wp-json/wp/v2/posts", "application/json", string(body)); resp.StatusCode != 401 {
		t.Errorf("a post without a login: %s %.300s", resp.Status, response)
	}
	if resp, _ := stranger.do("GET", "/wp-admin/", "", ""); resp.StatusCode != 302 || !strings.Contains(resp.Header.Get("Location"), "/wp-login.php?redirect_to=") {
		t.Errorf("the admin's page without a login: %s %q", resp.Status, resp.Header)
	}
	// And out again.
	out := html.UnescapeString(match1(t, `href="https?://wiki\.example\.org(/wp-login\.php\?action=logout[^"]+)"`, v.page("/wp-admin/")))
	v.do("GET", out, "", "")
	if resp, _ := v.do("GET", "/wp-admin/profile.php", "", ""); resp.StatusCode != 302 {
		t.Errorf("still logged in: %s", resp.Status)
	}
}

// match1 returns what the group of a pattern matches.
func match1(t *testing.T, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s isn't in %.3000s", pattern, text)
	}
	return m[1]
}
