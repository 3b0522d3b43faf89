package upstream

import (
	"fmt"
	"net/http"
	"sync"

	"mkd/proxy/roundtrip"
)

// informer passes on the informational responses of one request in HTTP/2. It does so
// in a goroutine of its own, since the one of net/http that calls add reads for all
// requests of the connection, and may call it after this request has failed.
type informer struct {
	events roundtrip.Events

	mu      sync.Mutex
	waiting []informational
	n       int           // how many have come
	running chan struct{} // closed when the goroutine has ended; nil: there is none
	over    bool          // no more are passed on
	err     error         // why the request must end
}

type informational struct {
	status int
	header http.Header
}

// add takes a response, and doesn't wait for the client. An error ends the request.
func (i *informer) add(status int, h http.Header) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.n++
	switch {
	case i.err != nil:
	case i.n > maxInformational:
		i.err = fmt.Errorf("%w: more than %d responses of status 1xx", roundtrip.ErrHeader, maxInformational)
	case status == http.StatusSwitchingProtocols: // RFC 9113, section 8.6
		i.err = fmt.Errorf("%w: status 101, which HTTP/2 doesn't have", roundtrip.ErrHeader)
	}
	if i.over || i.err != nil {
		return i.err
	}
	i.waiting = append(i.waiting, informational{status, h})
	if i.running == nil {
		i.running = make(chan struct{})
		go i.run(i.running)
	}
	return nil
}

func (i *informer) run(done chan struct{}) {
	defer close(done)
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.waiting) > 0 && i.err == nil {
		next := i.waiting[0]
		i.waiting = i.waiting[1:]
		i.mu.Unlock()
		err := i.events.Inform(next.status, next.header)
		i.mu.Lock()
		if i.err == nil {
			i.err = err
		}
	}
	i.running = nil
}

// end returns when no response will be passed on any more: those that came have been,
// or, if the request has failed, the one that was about to. It returns why the request
// had to end, if that is known here.
func (i *informer) end(failed bool) error {
	i.mu.Lock()
	i.over = true
	if failed {
		i.waiting = nil
	}
	running := i.running
	i.mu.Unlock()
	if running != nil {
		<-running
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.err
}
