package site

import "testing"

func TestCheckPath(t *testing.T) {
	for p, clean := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a.b/.c": true, "/...": true, "/a%2": true, "/%2e": true, "/5c": true, "/2f": true, "/%a5c": true, "/x2f%5": true,
		"": false, "a": false, "/a\x00": false, `/\a`: false, `\`: false, "//": false, "/a//b": false, "/./a": false, "/a/./b": false, "/../a": false, "/a/../b": false,
		"/.": false, "/a/.": false, "/..": false, "/a/..": false, "/%2f": false, "/a%2F": false, "/%5c": false, "/%5Ca": false, "%2f": false,
	} {
		if err := checkPath(p); (err == nil) != clean {
			t.Errorf("%q: %v", p, err)
		}
	}
}
