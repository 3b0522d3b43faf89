package route

import "mkd/proxy/request"

// fallback serves by a backend of files and, where it has no file for a path, or none
// for the method, by another backend.
type fallback struct {
	files, other request.Backend
	name         string // of other
}

// Serve implements request.Backend.
func (f *fallback) Serve(w request.Response, r *request.Request) error {
	err := f.files.Serve(w, r)
	if err == nil {
		return nil
	}
	if kind := request.KindOf(err); kind != request.NotFound && kind != request.BadMethod {
		return err
	}
	delete(w.Header(), "Allow") // nothing else was set
	r.Record.Backend = f.name
	return f.other.Serve(w, r)
}

// Prepare implements request.Preparer.
func (f *fallback) Prepare(r *request.Request) {
	if p, ok := f.other.(request.Preparer); ok {
		p.Prepare(r)
	}
}
