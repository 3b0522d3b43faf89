package backend

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"mkd/proxy/request"
)

// liveQuery begins the query of a browser that waits for a change.
const liveQuery = "mkd-live-reload="

// liveWait is how long such a request is held. It is short, so that the daemon can stop.
const liveWait = 2 * time.Second

// liveScript is at the end of each HTML response. It loads the page anew after a change.
const liveScript = `<script>(async () => {
  for (;;) {
    if (document.hidden) await new Promise(done => addEventListener("visibilitychange", done, {once: true}));
    let version = "";
    try {
      const r = await fetch(location.pathname + "?` + liveQuery + `%[1]s");
      if (r.ok) version = await r.text();
    } catch {}
    if (version === "") await new Promise(done => setTimeout(done, 300));
    else if (version !== "%[1]s") return location.reload();
  }
})();</script>
`

// liveReload makes browsers load their pages anew.
type liveReload struct {
	mu      sync.Mutex
	version int64         // another one after each change
	changed chan struct{} // closed at the next change
}

func newLiveReload() *liveReload {
	return &liveReload{version: time.Now().UnixNano(), changed: make(chan struct{})}
}

// reload has all pages loaded anew.
func (l *liveReload) reload() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version++
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *liveReload) current() (version string, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strconv.FormatInt(l.version, 10), l.changed
}

// script returns the script for a page that is made now.
func (l *liveReload) script() string {
	version, _ := l.current()
	return fmt.Sprintf(liveScript, version)
}

// serve responds to a browser that waits for a change, and reports whether it has
// responded.
func (l *liveReload) serve(w request.Response, r *request.Request) (served bool, err error) {
	known, waits := strings.CutPrefix(r.URL.RawQuery, liveQuery)
	if r.Raw || !waits || r.Method != http.MethodGet {
		return false, nil
	}
	r.Record.Unlisted = true
	version, changed := l.current()
	if version == known {
		timer := time.NewTimer(liveWait)
		defer timer.Stop()
		select {
		case <-changed:
			version, _ = l.current()
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	w.Header()["Cache-Control"] = []string{"no-store"}
	return true, request.RespondText(w, http.StatusOK, version)
}

// isPage reports whether a response is a page that a script can be appended to.
func isPage(r *request.Request, status int, header http.Header) bool {
	return r.Method == http.MethodGet && status != http.StatusNoContent && status != http.StatusNotModified && (status < 300 || status > 399) &&
		status != http.StatusPartialContent && header.Get("Content-Encoding") == "" && strings.HasPrefix(header.Get("Content-Type"), "text/html")
}
