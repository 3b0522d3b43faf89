// Package migrate turns the configuration of nginx into a config.yaml. What it can't
// move becomes a comment at its place, with the line that it comes from and the reason.
package migrate

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mkd/migrate/nginxconf"
)

// Result is a config.yaml.
type Result struct {
	YAML []byte
	Lost int // directives that it has only as comments
}

// Nginx reads a file of nginx and what it includes: an nginx.conf, or a file with server
// blocks. The result serves the same sites.
func Nginx(file string) (*Result, error) {
	all, err := nginxconf.Load(file)
	if err != nil {
		return nil, err
	}
	return convert(file, all)
}

// convert is Nginx for what a file and its includes have.
func convert(file string, all []*nginxconf.Directive) (*Result, error) {
	m := newMigration(file)
	main := &scope{m: m, own: all}
	http := main
	if i := slices.IndexFunc(all, func(d *nginxconf.Directive) bool { return d.Name == "http" }); i >= 0 {
		m.done[all[i]] = true
		http = &scope{m: m, own: all[i].Block, outer: main}
	}
	var sites []*site
	for _, d := range http.own {
		if d.Name == "server" && d.Braces {
			m.done[d] = true
			sites = append(sites, &site{d: d, scope: &scope{m: m, own: d.Block, outer: http}})
		}
	}
	if len(sites) == 0 {
		return nil, fmt.Errorf("%s has no server block; give nginx.conf, or a file of sites-enabled", file)
	}
	m.readGlobals(http)
	listeners, err := m.listeners(sites)
	if err != nil {
		return nil, err
	}
	m.ports = listeners
	routes := m.routes(sites, listeners)
	return m.write(http, main, listeners, routes)
}

// migration is what the conversion of a file has found so far.
type migration struct {
	file      string
	done      map[*nginxconf.Directive]bool // it has been moved, or needs nothing
	refused   map[*nginxconf.Directive]bool // a comment has why each of these isn't moved
	lost      int
	upstreams map[string]*upstream
	zones     map[string]*nginxconf.Directive // of limit_req_zone, by name
	unlogged  bool                            // requests make no lines
	maps      map[string]*nginxconf.Directive // by their variables
	backends  []*backend
	global    []entry // keys of the file itself
	sites     int     // that have contents
	ports     []*listener
	unmoved   []string // comments about servers that have no routes
}

func newMigration(file string) *migration {
	return &migration{file: file, done: make(map[*nginxconf.Directive]bool), refused: make(map[*nginxconf.Directive]bool), upstreams: make(map[string]*upstream), zones: make(map[string]*nginxconf.Directive), maps: make(map[string]*nginxconf.Directive)}
}

// comment returns the comment for a directive that isn't moved.
func (m *migration) comment(d *nginxconf.Directive, reason string) string {
	m.done[d] = true
	m.lost++
	return fmt.Sprintf("%s: %s isn't moved: %s", m.position(d), shown(d), reason)
}

// note returns the comment for a directive that is moved, but not quite.
func (m *migration) note(d *nginxconf.Directive, format string, args ...any) string {
	m.done[d] = true
	return fmt.Sprintf("%s: %s differs: %s", m.position(d), shown(d), fmt.Sprintf(format, args...))
}

// position returns FILE:LINE, without the folder that all files are in.
func (m *migration) position(d *nginxconf.Directive) string {
	if name, err := filepath.Rel(filepath.Dir(m.file), d.File); err == nil && !strings.HasPrefix(name, "..") {
		return fmt.Sprintf("%s:%d", name, d.Line)
	}
	return d.Position()
}

// shown returns a directive for a comment.
func shown(d *nginxconf.Directive) string {
	text := d.Text
	if len(text) > 120 {
		text = text[:strings.LastIndexByte(text[:120]+" ", ' ')] + " ..."
	}
	if d.Braces {
		return text + " {...}"
	}
	return text + ";"
}

// scope is the directives of a block and those of the blocks around it, which hold
// unless the block has its own.
type scope struct {
	m     *migration
	own   []*nginxconf.Directive
	outer *scope
}

// here returns the directives of the block itself that have a name, and takes them for
// moved.
func (s *scope) here(name string) (found []*nginxconf.Directive) {
	for _, d := range s.own {
		if d.Name == name {
			s.m.done[d] = true
			found = append(found, d)
		}
	}
	return found
}

// nearest returns the directives of that name of the innermost block that has some.
func (s *scope) nearest(name string) []*nginxconf.Directive {
	for ; s != nil; s = s.outer {
		if found := s.here(name); len(found) > 0 {
			return found
		}
	}
	return nil
}

// last returns the last of nearest, nil if there is none.
func (s *scope) last(name string) *nginxconf.Directive {
	if found := s.nearest(name); len(found) > 0 {
		return found[len(found)-1]
	}
	return nil
}

// word returns the first argument of last.
func (s *scope) word(name string) string {
	if d := s.last(name); d != nil && len(d.Args) > 0 {
		return d.Arg(0)
	}
	return ""
}

// leftovers returns comments for the directives of the block that nothing has moved.
func (s *scope) leftovers() (comments []string) {
	for _, d := range s.own {
		if s.m.done[d] || needless(d) {
			continue
		}
		comments = append(comments, s.m.comment(d, reasonFor(d)))
	}
	return comments
}
