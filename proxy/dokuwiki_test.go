//go:build linux

package proxy

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// plantDokuWiki makes a site of DokuWiki as Debian packages it: its scripts in
// public, its configuration in etc, its data in data, all below dir. It has to
// be a copy, since the package has absolute symlinks in it.
func plantDokuWiki(t *testing.T, dir string) {
	t.Helper()
	if !exists("/usr/share/dokuwiki/doku.php") {
		t.Fatal("DokuWiki isn't there: install it (Debian: apt-get install --no-install-recommends dokuwiki)")
	}
	public, conf, data := filepath.Join(dir, "public"), filepath.Join(dir, "etc"), filepath.Join(dir, "data")
	os.Remove(public) // cp makes it
	for from, to := range map[string]string{"/usr/share/dokuwiki": public, "/etc/dokuwiki": conf, "/var/lib/dokuwiki/data": data} {
		// The originals aren't all for everybody to read.
		if out, err := exec.Command("cp", "-RL", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	preload := filepath.Join(public, "inc", "preload.php")
	text, err := os.ReadFile(preload)
	if err != nil {
		t.Fatal(err)
	}
	hash := md5.Sum([]byte("open sesame"))
	for path, content := range map[string]string{
		preload:                               strings.ReplaceAll(string(text), "/etc/dokuwiki", conf),
		filepath.Join(conf, "local.php"):      "<?php $conf['savedir'] = '" + data + "'; $conf['useacl'] = 1; $conf['superuser'] = '@admin'; $conf['xsendfile'] = 2;",
		filepath.Join(conf, "users.auth.php"): "# <?php exit()?>\nadmin:" + hex.EncodeToString(hash[:]) + ":The Admin:admin@example.org:admin,user\n",
		filepath.Join(conf, "acl.auth.php"):   "# <?php exit()?>\n* @ALL 1\n* @user 8\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mayWrite := -1
	if os.Geteuid() == 0 {
		u, err := user.Lookup("www-data")
		if err != nil {
			t.Fatal(err)
		}
		mayWrite, _ = strconv.Atoi(u.Uid)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		if mayWrite >= 0 && strings.HasPrefix(path, data) {
			if err := os.Chown(path, mayWrite, -1); err != nil {
				return err
			}
		}
		if path == dir || d.Type()&^fs.ModeDir != 0 { // PHP-FPM's socket
			return nil
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// visitor asks for pages with the cookies that it was given, by one of the ways.
type visitor struct {
	t       *testing.T
	p       *Daemon
	send    func(t *testing.T, p *Daemon, request string) []byte
	cookies map[string]string
}

// do sends a request, and returns the response. A redirect isn't followed.
func (v *visitor) do(method, target, contentType, body string, fields ...string) (*http.Response, string) {
	v.t.Helper()
	request := method + " " + target + " HTTP/1.1\r\nHost: wiki.example.org\r\n"
	var jar []string
	for name, value := range v.cookies {
		jar = append(jar, name+"="+value)
	}
	if len(jar) > 0 {
		request += "Cookie: " + strings.Join(jar, "; ") + "\r\n"
	}
	for _, field := range fields {
		request += field + "\r\n"
	}
	if method == "POST" {
		request += "Content-Type: " + contentType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	response := v.send(v.t, v.p, request+"\r\n"+body)
	if response == nil {
		v.t.Fatalf("%s %s: no answer", method, target)
	}
	resp, text := parseResponse(v.t, response, method)
	for _, c := range resp.Cookies() {
		if v.cookies[c.Name] = c.Value; c.MaxAge < 0 || c.Value == "deleted" {
			delete(v.cookies, c.Name)
		}
	}
	return resp, text
}

// page gets a page, which must be good.
func (v *visitor) page(target string) string {
	v.t.Helper()
	resp, text := v.do("GET", target, "", "")
	if resp.StatusCode != 200 {
		v.t.Fatalf("GET %s: %d %q\n%.2000s", target, resp.StatusCode, resp.Header, text)
	}
	return text
}

// post sends a form, and returns where the client is sent.
func (v *visitor) post(target string, form url.Values) string {
	v.t.Helper()
	resp, text := v.do("POST", target, "application/x-www-form-urlencoded", form.Encode())
	if resp.StatusCode != 302 && resp.StatusCode != 303 {
		v.t.Fatalf("POST %s: %d %q\n%.3000s", target, resp.StatusCode, resp.Header, text)
	}
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host != "" && u.Host != "wiki.example.org" {
		v.t.Fatalf("POST %s: to %s, %v", target, resp.Header.Get("Location"), err)
	}
	return u.RequestURI()
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// hidden returns the hidden inputs of a page's forms.
func hidden(page string) url.Values {
	form := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return form
}

// TestDokuWiki runs a real application unchanged, on PHP-FPM and on a php-cgi
// that mkd starts: its pages, a login, an edit, and a picture that is uploaded
// and fetched.
func TestDokuWiki(t *testing.T) {
	t.Run("PHP-FPM", func(t *testing.T) {
		f := startFPM(t, 3, nil)
		runDokuWiki(t, f.dir, `addresses: ["unix:`+f.dir+`/s"]`)
	})
	t.Run("php-cgi", func(t *testing.T) {
		dir, err := os.MkdirTemp("", "wiki") // others must reach the site
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		as := ""
		if os.Geteuid() == 0 {
			as = "user: www-data"
		}
		runDokuWiki(t, dir, `spawn: {workers: 3, `+as+`}`)
	})
}

// runDokuWiki visits a DokuWiki in dir by all ways.
func runDokuWiki(t *testing.T, dir, responses string) {
	plantDokuWiki(t, dir)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  wiki:
    fastcgi:
      `+responses+`
      root: `+dir+`/public
      index: [doku.php]
      hide: [inc, bin, vendor]
      send_file: {root: `+dir+`/data}
routes: [{backend: wiki, compress: true}]
`))
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			visitDokuWiki(t, &visitor{t, p, way.send, map[string]string{}}, fmt.Sprint("page", i))
		})
	}
}

func visitDokuWiki(t *testing.T, v *visitor, name string) {
	start := v.page("/")
	if !strings.Contains(start, "<title>start") || !strings.Contains(start, `href="/lib/exe/css.php`) {
		t.Fatalf("the start page: %.2000s", start)
	}
	if len(v.cookies) == 0 {
		t.Error("no cookie")
	}
	// What the page consists of: made by scripts, and files.
	css, script := regexp.MustCompile(`href="(/lib/exe/css.php[^"]+)"`).FindStringSubmatch(start), regexp.MustCompile(`src="(/lib/exe/js.php[^"]+)"`).FindStringSubmatch(start)
	if css == nil || script == nil {
		t.Fatal("no style or no script in the page")
	}
	for target, want := range map[string]string{
		html.UnescapeString(css[1]):           "text/css",
		html.UnescapeString(script[1]):        "application/javascript",
		"/lib/tpl/dokuwiki/images/logo.png":   "image/png",
		"/lib/tpl/dokuwiki/images/search.png": "image/png",
	} {
		if resp, body := v.do("GET", target, "", ""); resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), want) || len(body) < 100 {
			t.Errorf("%s: %d %q", target, resp.StatusCode, resp.Header)
		}
	}
	for _, target := range []string{"/inc/init.php", "/bin/dwpage.php", "/vendor/autoload.php", "/.htaccess", "/conf/users.auth.php", "/data/pages/wiki/welcome.txt"} {
		if resp, _ := v.do("GET", target, "", ""); resp.StatusCode != 404 {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
	// Compressed by mkd, for who wants it so.
	resp, body := v.do("GET", "/doku.php?id=wiki:syntax", "", "", "Accept-Encoding: gzip")
	if page, err := gunzip(body); err != nil || resp.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(page, "Formatting Syntax") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") || len(body) > len(page)/3 {
		t.Errorf("compressed: %q, %v, %d bytes", resp.Header, err, len(body))
	}
	// Nobody writes without a login.
	if page := v.page("/doku.php?id=" + name + "&do=edit"); strings.Contains(page, `name="do[save]"`) {
		t.Fatal("everybody may edit")
	}
	form := hidden(v.page("/doku.php?id=start&do=login"))
	form.Set("u", "admin")
	form.Set("p", "open sesame")
	form.Set("do", "login")
	if page := v.page(v.post("/doku.php?id=start&do=login", form)); !strings.Contains(page, "The Admin") {
		t.Fatalf("after the login: %.3000s", page)
	}
	// Edit and save.
	text := "====== A page by " + name + " ======\n\nÜnïcödé & <b>no tags</b> " + strings.Repeat("long ", 20_000)
	form = hidden(v.page("/doku.php?id=" + name + "&do=edit"))
	form.Set("wikitext", text)
	form.Set("summary", "made by a test")
	form.Set("do[save]", "1")
	page := v.page(v.post("/doku.php?id="+name+"&do=edit", form))
	if !strings.Contains(page, "A page by "+name+"</h1>") || !strings.Contains(page, "Ünïcödé &amp; &lt;b&gt;no tags&lt;/b&gt; long long") {
		t.Fatalf("after the edit: %.3000s", page)
	}
	// Upload a picture, and fetch it: DokuWiki leaves that to mkd.
	picture := somePicture(t)
	var upload bytes.Buffer
	w := multipart.NewWriter(&upload)
	for field, value := range map[string]string{"ns": "", "mediaid": name + ".png", "ow": "1", "sectok": hidden(page).Get("sectok")} {
		w.WriteField(field, value)
	}
	part, _ := w.CreateFormFile("upload", "a picture.png")
	part.Write(picture)
	w.Close()
	resp, body = v.do("POST", "/lib/exe/mediamanager.php", w.FormDataContentType(), upload.String())
	if resp.StatusCode != 200 || !strings.Contains(body, "Upload successful") {
		t.Fatalf("the upload: %d %q\n%.3000s", resp.StatusCode, resp.Header, body)
	}
	fetch := "/lib/exe/fetch.php?media=" + name + ".png"
	resp, body = v.do("GET", fetch, "", "")
	if resp.StatusCode != 200 || body != string(picture) || resp.Header.Get("Content-Type") != "image/png" || resp.Header.Get("X-Sendfile") != "" {
		t.Errorf("the picture: %d %q, %d bytes of %d", resp.StatusCode, resp.Header, len(body), len(picture))
	}
	resp, body = v.do("GET", fetch, "", "", "Range: bytes=1-3")
	if resp.StatusCode != 206 || body != "PNG" {
		t.Errorf("a range of the picture: %d %q %q", resp.StatusCode, resp.Header, body)
	}
	// And out again.
	v.do("GET", "/doku.php?id=start&do=logout&sectok="+hidden(page).Get("sectok"), "", "")
	if strings.Contains(v.page("/doku.php?id=start"), "The Admin") {
		t.Error("still logged in")
	}
}

// somePicture returns a PNG of some 100 KiB.
func somePicture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 200, 200))
	n := uint32(1)
	for x := range 200 {
		for y := range 200 {
			n = n*1664525 + 1013904223
			img.Set(x, y, color.RGBA{byte(n >> 24), byte(n >> 16), byte(n >> 8), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
