package forward

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	"mkd/proxy/request"
	"mkd/share"
	"mkd/spill"
)

// Relay takes a response from a server as fast as it comes, and hands it to a
// client as fast as that takes it. So a client that reads slowly, or not at all,
// holds no PHP worker: what waits for it is kept in memory, and beyond that in a
// nameless file, within the bounds of the spool. A short response goes to the
// client once it is whole, on the caller's goroutine.
//
// Head, Write and Flush are called by one goroutine, and Finish at the end.
type Relay struct {
	w     http.ResponseWriter
	r     *request.Request
	spool *Spool

	client *share.Client // that what waits in the file counts for; nil: nothing has waited there

	status  int           // 0: none yet
	running chan struct{} // closed when the other goroutine has ended; nil: there is none

	mu       sync.Mutex
	changed  sync.Cond
	memory   []byte // what waits first
	file     *os.File
	from, to int64 // what waits in the file, after memory
	flush    bool  // the client is to have what there is
	ended    bool  // no more comes
	gone     error // why the client takes no more
}

// maxWaiting is how many bytes of a response wait in memory, or in a file if there is no
// memory, before the client gets any.
const maxWaiting = 64 << 10

// waitingBuffers has the memory in which responses wait.
var waitingBuffers = sync.Pool{New: func() any { return new([maxWaiting]byte) }}

// takeBuffer returns memory in which a response waits: maxWaiting bytes of the spool's, or
// a little if these are taken. A client that reads slowly holds it.
func (s *Spool) takeBuffer() []byte {
	if s.takeMemory(maxWaiting) {
		return waitingBuffers.Get().(*[maxWaiting]byte)[:]
	}
	return make([]byte, smallStep)
}

// giveBuffer gives back what takeBuffer returned.
func (s *Spool) giveBuffer(b []byte) {
	if cap(b) == maxWaiting {
		waitingBuffers.Put((*[maxWaiting]byte)(b[:maxWaiting]))
		s.giveMemory(maxWaiting)
	}
}

// NewRelay returns a relay of the response to a request. What it keeps counts for the
// client, as the bodies that it sends.
func NewRelay(w http.ResponseWriter, r *request.Request, s *Spool) *Relay {
	relay := &Relay{w: w, r: r, spool: s}
	relay.changed.L = &relay.mu
	return relay
}

// Head decides the response's status. Its header is set already.
func (r *Relay) Head(status int) { r.status = status }

// Write implements io.Writer. It waits for the client only if nothing more can be
// kept.
func (r *Relay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rest := p; len(rest) > 0; {
		if r.gone != nil {
			return len(p) - len(rest), r.gone
		}
		n, err := r.keep(rest)
		if err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
		r.changed.Broadcast()
		if n == 0 || int64(len(r.memory))+r.to-r.from >= maxWaiting {
			r.start()
		}
		if n == 0 {
			r.changed.Wait()
		}
	}
	return len(p), nil
}

// keep keeps a part of p, and returns how much. 0 means that there is no room.
func (r *Relay) keep(p []byte) (int, error) {
	if r.memory == nil {
		r.memory = r.spool.takeBuffer()[:0]
	}
	if n := min(len(p), cap(r.memory)-len(r.memory)); n > 0 && r.from == r.to {
		r.memory = append(r.memory, p[:n]...)
		return n, nil
	}
	n := min(len(p), spoolStep)
	if r.client == nil {
		r.client = r.spool.join(r.r)
	}
	if !r.client.Take(int64(n), 0) {
		return 0, nil
	}
	err := error(nil)
	if r.file == nil {
		r.file, err = spill.File(r.spool.rules.Load().Dir)
	}
	if err == nil {
		_, err = r.file.WriteAt(p[:n], r.to)
	}
	if err != nil {
		r.client.Give(int64(n))
		return 0, keepError(err)
	}
	r.to += int64(n)
	return n, nil
}

// Flush sends the client what there is, without waiting for more.
func (r *Relay) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush = true
	r.start()
	r.changed.Broadcast()
	return r.gone
}

// start starts the goroutine that writes to the client.
func (r *Relay) start() {
	if r.running == nil {
		r.running = make(chan struct{})
		go r.run()
	}
}

// run writes to the client what comes, until the end.
func (r *Relay) run() {
	defer close(r.running)
	r.w.WriteHeader(r.status)
	buf := r.spool.takeBuffer()
	defer r.spool.giveBuffer(buf)
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.gone == nil {
		n, err := r.next(buf)
		if err != nil {
			r.gone = err
			break
		}
		if n == 0 && r.flush {
			r.flush = false
			r.mu.Unlock()
			err := http.NewResponseController(r.w).Flush()
			r.mu.Lock()
			if err != nil && !errors.Is(err, http.ErrNotSupported) {
				r.gone = fmt.Errorf("%w: %w", request.ErrClientGone, err)
			}
			continue
		}
		if n == 0 {
			if r.ended {
				break
			}
			r.changed.Wait()
			continue
		}
		r.mu.Unlock()
		_, err = r.w.Write(buf[:n])
		r.mu.Lock()
		if err != nil {
			r.gone = fmt.Errorf("%w: %w", request.ErrClientGone, err)
		}
		r.changed.Broadcast()
	}
	r.changed.Broadcast()
}

// next takes what waits first, and returns how much it was.
func (r *Relay) next(buf []byte) (int, error) {
	if len(r.memory) > 0 {
		n := copy(buf, r.memory)
		r.memory = r.memory[:copy(r.memory, r.memory[n:])]
		return n, nil
	}
	if r.from == r.to {
		return 0, nil
	}
	n := int(min(r.to-r.from, int64(len(buf))))
	if _, err := r.file.ReadAt(buf[:n], r.from); err != nil {
		return 0, keepError(err)
	}
	r.from += int64(n)
	if r.from == r.to { // what is kept next begins anew
		r.client.Give(r.to)
		r.from, r.to = 0, 0
		if err := r.file.Truncate(0); err != nil {
			return 0, keepError(err)
		}
	}
	return n, nil
}

// Finish completes the response. err is why it broke off, if it did: then
// the client must not take it for whole.
func (r *Relay) Finish(err error) error {
	defer r.release()
	if r.running == nil && (err != nil || r.status == 0) {
		return err // the client has seen nothing
	}
	if r.running == nil && r.from == r.to {
		r.w.WriteHeader(r.status)
		if len(r.memory) > 0 {
			if _, err := r.w.Write(r.memory); err != nil {
				return fmt.Errorf("%w: %w", request.ErrClientGone, err)
			}
		}
		return nil
	}
	r.mu.Lock()
	r.start()
	r.ended = true
	if err != nil && r.gone == nil {
		r.gone = err
	}
	r.changed.Broadcast()
	r.mu.Unlock()
	<-r.running
	return r.gone
}

// release gives back what the relay took.
func (r *Relay) release() {
	if r.memory != nil {
		r.spool.giveBuffer(r.memory)
		r.memory = nil
	}
	if r.client != nil {
		r.client.Give(r.to)
		r.client.Leave()
		r.client = nil
	}
	r.from, r.to = 0, 0
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
