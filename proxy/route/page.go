package route

import (
	"cmp"
	"io"
	"os"
	"sync"
	"time"

	"mkd/proxy/request"
	"mkd/proxy/site"
)

// maxPage is the largest page, in bytes.
const maxPage = 1 << 20

// page is a file that is kept in memory, and read anew when it changes. It is safe for
// use by several goroutines.
type page struct {
	path        string
	contentType string

	mu       sync.Mutex
	content  []byte
	modified time.Time
	size     int64
}

// newPage returns the page of a file. If contentType is "", it is that of the extension, by
// the table for all files; texts are in UTF-8, as those of mkd itself.
func newPage(path, contentType string) *page {
	return &page{path: path, contentType: cmp.Or(contentType, site.MediaType(path, "utf-8"), site.UnknownType)}
}

// read returns the content of the file.
func (p *page) read() ([]byte, error) {
	info, err := os.Stat(p.path)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if info.Size() == p.size && info.ModTime().Equal(p.modified) && p.size > 0 {
		return p.content, nil
	}
	f, err := os.Open(p.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPage+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxPage {
		return nil, request.Errorf(request.Fault, "the page %s is larger than 1 MiB; serve it by a files backend", p.path)
	}
	p.content, p.modified, p.size = content, info.ModTime(), info.Size()
	return p.content, nil
}

// load implements pageSource.
func (p *page) load() (contentType string, content []byte, err error) {
	content, err = p.read()
	return p.contentType, content, err
}

// respond writes the page as the response.
func (p *page) respond(w request.Response, status int) error {
	content, err := p.read()
	if err != nil {
		return request.Errorf(request.Fault, "reading a page of the configuration: %w", err)
	}
	w.Header().Set("Content-Type", p.contentType)
	return request.RespondBytes(w, status, content)
}
