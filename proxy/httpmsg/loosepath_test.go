package httpmsg

import (
	"strings"
	"testing"
)

func TestLoosePath(t *testing.T) {
	for path, want := range map[string]string{
		"/":                      "/",
		"/admin":                 "/admin",
		"/admin/":                "/admin",
		"/Admin/X.PHP":           "/admin/x.php",
		"/admin./x":              "/admin/x",
		"/admin /x":              "/admin/x",
		"/admin;a=b/x;c":         "/admin/x",
		"/admin%2Fx":             "/admin/x",
		"/admin%252Fx":           "/admin/x",
		`/admin\x`:               "/admin/x",
		"/%2561dmin":             "/admin",
		"/%252561dmin":           "/admin",
		"/100%25/%2561dmin":      "/100%/admin", // decoded although another escape is broken
		"/a/b/%252E%252E/admin":  "/a/admin",
		"/a/%252E%252E/admin":    "/admin",
		"/%252E%252E/admin":      "/admin",
		"/100%25/x":              "/100%/x",
		"/a.b/c.d":               "/a.b/c.d",
		"/.hidden/...":           "/.hidden",
		"/admin%2500.css":        "/admin",
		"/\u00c4dmin":            "/\u00e4dmin",
		"/admin%252F%252F;/%20x": "/admin/ x",
	} {
		got := LoosePath(path)
		if got != want {
			t.Errorf("%q becomes %q, want %q", path, got, want)
		}
		if again := LoosePath(got); again != got && !strings.HasPrefix(path, "/100%25/") {
			t.Errorf("%q becomes %q, and that %q", path, got, again)
		}
	}
	if n := testing.AllocsPerRun(100, func() { LoosePath("/blog/2027/a-page.html") }); n > 0 {
		t.Errorf("an ordinary path takes %v allocations", n)
	}
}
