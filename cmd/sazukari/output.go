package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// isBinary reports whether a body has a NUL, which is binary to curl, too.
func isBinary(body []byte) bool { return bytes.IndexByte(body, 0) >= 0 }

// writeOutput writes a file. A regular file that can't be written to its end is
// removed.
func writeOutput(name string, data []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		if info, statErr := os.Stat(name); statErr == nil && info.Mode().IsRegular() {
			os.Remove(name)
		}
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

const writeOutHelp = `%{http_code}, %{content_type}, %{size_download}, %{time_total}, %{num_redirects}, %{redirect_url}, %{url_effective}, \n, \r, \t, %%`

// formatted returns the text of -w. It leaves what it does not know as it is.
func (g *get) formatted(r *request, a *response) string {
	redirect := ""
	if location, ok := a.location(); ok {
		if next, err := r.target.follow(location, g.pathAsIs); err == nil {
			redirect = next.String()
		}
	}
	code := strconv.Itoa(a.StatusCode)
	return strings.NewReplacer(
		"%{http_code}", code,
		"%{response_code}", code,
		"%{content_type}", a.Header.Get("Content-Type"),
		"%{size_download}", strconv.Itoa(len(a.body)),
		"%{time_total}", strconv.FormatFloat(time.Since(g.start).Seconds(), 'f', 6, 64),
		"%{num_redirects}", strconv.Itoa(g.hops),
		"%{redirect_url}", redirect,
		"%{url_effective}", r.target.String(),
		"%%", "%", `\n`, "\n", `\r`, "\r", `\t`, "\t",
	).Replace(g.writeOut)
}
