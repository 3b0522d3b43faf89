package site

import (
	"net/http"

	"mkd/proxy/httpmsg"
)

// endings are those of files with a content coding, beside the files that they are
// made of.
var endings = map[string]string{"zstd": ".zst", "br": ".br", "gzip": ".gz"}

// choose replaces an open file by the one beside it with the content coding that the
// client likes best. One that is older is of another version of the file.
func (f *Files) choose(r *release, h *http.Request, o *opened) {
	offered := make([]string, 0, 3)
	offered = append(offered, f.Precompressed[:min(len(f.Precompressed), cap(offered))]...)
	for len(offered) > 0 {
		coding := httpmsg.ChooseCoding(h.Header["Accept-Encoding"], offered)
		if coding == "" {
			return
		}
		beside, err := f.open(r, o.name+endings[coding])
		switch {
		case err != nil:
		case beside.info.ModTime().Before(o.info.ModTime()):
			beside.close()
		default:
			o.close()
			o.file, o.content, o.info, o.known, o.coding = beside.file, beside.content, beside.info, nil, coding
			return
		}
		offered = without(offered, coding)
	}
}

// without removes a coding from a list, in its own memory.
func without(list []string, coding string) []string {
	kept := list[:0]
	for _, c := range list {
		if c != coding {
			kept = append(kept, c)
		}
	}
	return kept
}
