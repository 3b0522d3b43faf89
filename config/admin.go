package config

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Admin is where commands such as `mkd reload` reach the running daemon. They read
// this section alone, so that they work while the rest of the file is broken.
type Admin struct {
	// A unix socket, as `unix:PATH`, which only mkd's user and root can use. By
	// default it is `admin.sock` in systemd's `$RUNTIME_DIRECTORY`, or without that
	// `mkd.sock` beside the configuration file.
	Address string `yaml:"address" default:"" format:"admin"`

	// A TCP address of this machine, such as `127.0.0.1:9090`, that serves the status
	// page, `/status` and `/metrics`, read-only. All users of the machine can reach
	// it. Empty: none; the page is on the unix socket, too.
	HTTP string `yaml:"http" default:"" format:"loopback"`

	// A TCP address that serves `/metrics`, `/healthz` and `/readyz` alone, to
	// whoever reaches it. Empty: none; they are on the other two, too.
	Metrics string `yaml:"metrics" default:"" format:"metrics"`
}

// Socket returns the path of the unix socket, for a configuration that was loaded
// from file.
func (a *Admin) Socket(file string) string {
	if path, given := strings.CutPrefix(a.Address, "unix:"); given {
		return path
	}
	// systemd separates several folders by colons (systemd.exec(5)).
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		return filepath.Join(dir, "admin.sock")
	}
	return filepath.Join(filepath.Dir(file), "mkd.sock")
}

// LoadAdmin reads the section admin alone of a configuration file. It takes no
// notice of what is wrong with the rest.
func LoadAdmin(file string) (*Admin, error) {
	data, err := machine.readConfig(file)
	if err != nil {
		return nil, err
	}
	return parseAdmin(file, data, filepath.Dir(file))
}

func parseAdmin(file string, data []byte, dir string) (*Admin, error) {
	w := newWalker(machine, &source{file, dir})
	admin := new(Admin)
	if key, section := findAdmin(data); section != nil {
		fields := fieldsOf(reflect.TypeFor[Config]())
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == "admin" })
		w.value(reflect.ValueOf(admin).Elem(), fields[i], section, key, "admin")
	}
	w.checkAdmin(admin)
	if len(w.errs) > 0 {
		return nil, Errors(w.errs)
	}
	return admin, nil
}

// findAdmin returns the key and the value of the section admin, nil if there is none.
// Of a file that isn't YAML it looks at the lines of that section alone.
func findAdmin(data []byte) (key, value *yaml.Node) {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil && yaml.Unmarshal(adminLines(data), &doc) != nil {
		return nil, nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil
	}
	pairs := doc.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i].Value == "admin" {
			return pairs[i], pairs[i+1]
		}
	}
	return nil, nil
}

// adminLines returns the lines of the section admin, and an empty line for each
// other one.
func adminLines(data []byte) []byte {
	var section bytes.Buffer
	within := false
	for line := range bytes.Lines(data) {
		if first := line[0]; first != ' ' && first != '#' && first != '\n' && first != '\r' {
			within = bytes.HasPrefix(line, []byte("admin:"))
		}
		if within {
			section.Write(line)
		} else {
			section.WriteByte('\n')
		}
	}
	return section.Bytes()
}

// checkAdmin resolves the path of the socket.
func (w *walker) checkAdmin(a *Admin) {
	path, given := strings.CutPrefix(a.Address, "unix:")
	if !given || !w.sound(&a.Address) {
		return
	}
	path = w.at(&a.Address).source.path(path)
	if a.Address = "unix:" + path; len(path) > maxSocket {
		w.wrong(&a.Address, "the path of the socket has %d bytes; %d are the most", len(path), maxSocket)
	}
}

// checkLoopback checks HOST:PORT of this machine.
func checkLoopback(s string) error {
	if s == "" {
		return nil
	}
	if err := checkAddress(s, "9090"); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(s)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("want an address of this machine alone, such as 127.0.0.1:9090; admin.metrics may be any other")
}

// checkAdminAddress checks unix:path.
func checkAdminAddress(s string) error {
	path, ok := strings.CutPrefix(s, "unix:")
	if !ok || path == "" || strings.HasPrefix(path, "//") || strings.HasSuffix(path, "/") {
		return errors.New("want the path of a unix socket, as in unix:/run/mkd/admin.sock")
	}
	return nil
}
