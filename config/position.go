package config

import "fmt"

// Position returns where a section, a listener, one of its certificates, a backend, or a
// path that mkd writes to is in the configuration, for errors that come up later. Of the
// path "backends.site" it is "config.yaml:7:3: backends.site".
func (c *Config) Position(path string) string {
	if at, ok := c.positions[path]; ok {
		return at + ": " + path
	}
	return path
}

// notePositions keeps what Position returns.
func (w *walker) notePositions(cfg *Config) {
	cfg.positions = make(map[string]string)
	note := func(p any) {
		if o := w.at(p); o != nil {
			cfg.positions[o.path] = fmt.Sprintf("%s:%d:%d", o.source.file, o.line, o.column)
		}
	}
	note(&cfg.Sessions)
	note(&cfg.Storage)
	note(&cfg.Log.Output.File)
	note(&cfg.Limits.Spool.Dir)
	note(&cfg.Admin.Address)
	if s := cfg.Sessions.Store; s != nil && s.File != nil {
		note(&s.File.Path)
	}
	for i := range cfg.Listeners {
		note(&cfg.Listeners[i])
		if h := cfg.Listeners[i].HTTPS; h != nil {
			note(&h.TLS)
			for i := range h.TLS.Certificates {
				note(&h.TLS.Certificates[i])
			}
		}
	}
	for i := range cfg.Backends {
		note(&cfg.Backends[i])
	}
	for r := range cfg.EachRoute() {
		if a := r.Auth; a != nil && a.Basic != nil {
			note(&a.Basic.UsersFile)
		} else if a != nil && a.JWT != nil {
			note(&a.JWT.Key)
		}
	}
}
