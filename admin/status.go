package admin

import (
	"iter"
	"time"

	"mkd/histogram"
)

// Source is the running daemon, as far as it shows its state. Its methods are safe
// for use by several goroutines, and don't wait.
type Source interface {
	// Status returns the state of the daemon. The caller may change it.
	Status() *Status
	// Sessions returns sessions that have a connection, at most limit of them, and
	// how many there are.
	Sessions(limit int) (some []Session, all int)
}

// Status is the state of the daemon: what /status responds with. Times are in
// UTC, durations in seconds, sizes in bytes. Counts are since the start of the
// process, or since a reload changed the section of a backend, or brought a route
// back. It has no query of a request, no whole token and no secret.
type Status struct {
	Version  string    `json:"version"`
	Go       string    `json:"go"`
	PID      int       `json:"pid"`
	Config   string    `json:"config"` // the configuration file
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`
	State    string    `json:"state"`               // starting, ready, not ready, draining or stopping
	NotReady []string  `json:"not_ready,omitempty"` // why /readyz fails
	// Maintenance is whether all requests get 503.
	Maintenance bool    `json:"maintenance"`
	Generation  int     `json:"generation"` // 1, and one more for each reload that succeeded
	Reloads     Reloads `json:"reloads"`
	InFlight    int     `json:"in_flight"` // requests
	Requests    uint64  `json:"requests"`

	Listeners    []Listener        `json:"listeners"`
	Routes       []Route           `json:"routes"`
	Backends     []Backend         `json:"backends"`
	Sessions     Sessions          `json:"sessions"`
	Certificates []Certificate     `json:"certificates"`
	Failures     map[string]uint64 `json:"failures"` // requests that failed, by reason
	Memory       Memory            `json:"memory"`
	LogDropped   map[string]uint64 `json:"log_lines_dropped"` // by reason

	// Counts are the requests by listener, route and backend, for metrics.
	Counts []Count `json:"-"`
	// Gone are the counts that a reload has removed. Their listener, or their route and
	// backend, are "" if they aren't in the configuration any more.
	Gone []Count `json:"-"`
}

// AllCounts returns Counts and Gone: sums over them never become less.
func (st *Status) AllCounts() iter.Seq[*Count] {
	return func(yield func(*Count) bool) {
		for _, list := range [][]Count{st.Counts, st.Gone} {
			for i := range list {
				if !yield(&list[i]) {
					return
				}
			}
		}
	}
}

// Reloads are the attempts to load another configuration.
type Reloads struct {
	Succeeded uint64    `json:"succeeded"`
	Failed    uint64    `json:"failed"`
	Last      time.Time `json:"last,omitzero"`
	LastError string    `json:"last_error,omitempty"` // "": the last one succeeded
}

// Count is what was counted of the requests of a listener, a route and a backend.
type Count struct {
	Listener string
	Route    string    // "none" for requests that no route takes
	Backend  string    // the backend's name, respond, redirect or none
	Classes  [5]uint64 // requests by the class of their status, from 1xx to 5xx
	In, Out  uint64    // bytes
	Duration histogram.Snapshot
}

// Requests returns how many there were.
func (c *Count) Requests() (n uint64) {
	for _, class := range c.Classes {
		n += class
	}
	return n
}

// Listener is the state of a listener.
type Listener struct {
	Name           string  `json:"name"`
	Kind           string  `json:"kind"`    // megaki, https or http
	Address        string  `json:"address"` // "": it isn't open
	Connections    int     `json:"connections"`
	MaxConnections int     `json:"max_connections"`
	Refused        uint64  `json:"refused"` // connections of clients that have their share
	Requests       uint64  `json:"requests"`
	In             uint64  `json:"in"`
	Out            uint64  `json:"out"`
	TLSFailures    uint64  `json:"tls_failures,omitempty"`
	Megaki         *Megaki `json:"megaki,omitempty"`
}

// Megaki is the state of a Megaki listener.
type Megaki struct {
	Live        int               `json:"live"`        // sessions that have a connection
	Handshakes  map[string]uint64 `json:"handshakes"`  // by result
	Resumptions map[string]uint64 `json:"resumptions"` // by result
	RSABusy     int               `json:"rsa_busy"`    // handshakes whose RSA work is being done
	RSAWaiting  int               `json:"rsa_waiting"`
	RSASlots    int               `json:"rsa_slots"`
	Keys        []ServerKey       `json:"keys"`
}

// ServerKey is the clients that pin a server key.
type ServerKey struct {
	ID         string    `json:"id"` // the beginning of its fingerprint
	Retired    bool      `json:"retired"`
	Live       int       `json:"live"` // sessions that have a connection
	Handshakes uint64    `json:"handshakes"`
	Resumes    uint64    `json:"resumes"`
	LastSeen   time.Time `json:"last_seen,omitzero"`
}

// Sessions are the Megaki sessions of all listeners.
type Sessions struct {
	Live      int `json:"live"`      // that have a connection
	Parked    int `json:"parked"`    // of these, at rest: no goroutine waits for their next message
	Resumable int `json:"resumable"` // that the store keeps; -1: it doesn't count them
	Capacity  int `json:"capacity"`  // how many it keeps at most

	Store         string `json:"store"` // memory, file or redis
	StoreDown     bool   `json:"store_down"`
	StoreError    string `json:"store_error,omitempty"`
	StoreFailures uint64 `json:"store_failures"` // operations that failed, or weren't tried while it was down
	Unreadable    uint64 `json:"unreadable"`     // records that no secret opens
}

// Route is the requests of a route, those of all listeners together. Rate, P50 and
// P99 are of the last minute.
type Route struct {
	Name     string            `json:"name"`
	Backend  string            `json:"backend"`
	Requests uint64            `json:"requests"`
	Statuses map[string]uint64 `json:"statuses"` // by class: 2xx
	Rate     float64           `json:"rate"`     // requests in a second
	Errors   float64           `json:"errors"`   // the share of 5xx, from 0 to 1
	P50      float64           `json:"p50"`
	P99      float64           `json:"p99"`
	In       uint64            `json:"in"`
	Out      uint64            `json:"out"`
}

// Backend is the state of a backend.
type Backend struct {
	Name      string     `json:"name"`
	Kind      string     `json:"kind"` // php, fastcgi, http or files
	Up        bool       `json:"up"`   // it can take requests
	Why       string     `json:"why,omitempty"`
	Upstreams []Upstream `json:"upstreams,omitempty"`
	Pool      *Pool      `json:"pool,omitempty"`
	CGI       *CGI       `json:"php_cgi,omitempty"`
}

// Upstream is a server of a backend.
type Upstream struct {
	Name     string    `json:"name"`
	Weight   int       `json:"weight"`
	Backup   bool      `json:"backup,omitempty"` // it gets requests only while no other can
	Up       bool      `json:"up"`
	Why      string    `json:"why,omitempty"` // it isn't up
	Since    time.Time `json:"since"`         // it is up or down
	Active   int       `json:"active"`        // requests in flight
	Waiting  int       `json:"waiting"`       // requests that wait for a connection
	Requests uint64    `json:"requests"`
	Failed   uint64    `json:"failed"`  // by its fault
	Retried  uint64    `json:"retried"` // that failed here, and were sent once more
}

// Pool is the state of a pool of PHP workers.
type Pool struct {
	Workers       []Worker         `json:"workers"`
	MinWorkers    int              `json:"min_workers"`
	MaxWorkers    int              `json:"max_workers"`
	Starting      int              `json:"starting"` // workers that aren't ready yet, or are tried again later
	Exiting       int              `json:"exiting"`  // processes that haven't ended yet
	Waiting       int              `json:"waiting"`  // requests in the queue
	Queue         int              `json:"queue"`    // how many it takes
	WaitP99       float64          `json:"wait_p99"` // of the last minute
	Failure       string           `json:"failure,omitempty"`
	Requests      int64            `json:"requests"`
	ScriptErrors  int64            `json:"script_errors"`
	WorkerErrors  int64            `json:"worker_errors"`
	Timeouts      int64            `json:"timeouts"`
	QueueFull     int64            `json:"queue_full"`
	QueueTimeouts int64            `json:"queue_timeouts"`
	Retried       int64            `json:"retried"` // whose first worker was dead
	Started       int64            `json:"started"` // workers
	Ended         map[string]int64 `json:"ended"`   // workers, by reason

	Wait histogram.Snapshot `json:"-"`
}

// States of a worker. A worker is hanging if it has been busy with one request for
// a third of the pool's timeout, or for 10 seconds.
const (
	WorkerIdle     = "idle"
	WorkerBusy     = "busy"
	WorkerHanging  = "hanging"
	WorkerDraining = "draining" // busy, and replaced already
)

// Worker is the state of a PHP worker.
type Worker struct {
	PID      int     `json:"pid"`
	State    string  `json:"state"`
	For      float64 `json:"for"` // how long it has been busy or idle
	Age      float64 `json:"age"`
	Requests int64   `json:"requests"`
	Memory   int64   `json:"memory"`
	Route    string  `json:"route,omitempty"` // of its request, as are the others
	Method   string  `json:"method,omitempty"`
	Path     string  `json:"path,omitempty"` // without the query
}

// CGI is the state of the php-cgi processes that mkd runs.
type CGI struct {
	PIDs     []int `json:"pids"`
	Busy     int   `json:"busy"`   // -1: the system doesn't report it
	Queued   int   `json:"queued"` // connections that wait
	Started  int64 `json:"started"`
	Crashes  int64 `json:"crashes"`
	Lingered int64 `json:"lingered"` // killed because they went on without a client
}

// Certificate is the state of a certificate.
type Certificate struct {
	Listener string    `json:"listener"`
	Source   string    `json:"source"` // file, acme or internal
	Name     string    `json:"name"`   // the file, or the host
	Hosts    []string  `json:"hosts"`
	NotAfter time.Time `json:"not_after,omitzero"` // zero: there is none yet
	Error    string    `json:"error,omitempty"`    // of the last attempt to load, obtain or renew it
	ErrorAt  time.Time `json:"error_at,omitzero"`
	NextTry  time.Time `json:"next_try,omitzero"` // after an error, if it is known
}

// Memory is what bounded amounts of memory are in use.
type Memory struct {
	Messages      int64 `json:"messages"` // buffers of Megaki messages
	MessagesLimit int64 `json:"messages_limit"`
	HTTP          int64 `json:"http"` // what HTTP clients have sent and nobody has read yet
	HTTPLimit     int64 `json:"http_limit"`
	Spool         int64 `json:"spool"` // bodies that wait for a backend, in memory and files
	SpoolLimit    int64 `json:"spool_limit"`
	SpoolMemory   int64 `json:"spool_memory"` // of these, in memory
	Resident      int64 `json:"resident"`     // of the daemon's process; 0: unknown
}

// Session is a Megaki session that has a connection.
type Session struct {
	Listener string    `json:"listener"`
	Token    string    `json:"token"` // its first 8 hex digits
	Client   string    `json:"client"`
	Key      string    `json:"key"` // the server key, as in ServerKey
	Since    time.Time `json:"since"`
	Resumed  bool      `json:"resumed"`
	Messages int64     `json:"messages"`
	Busy     bool      `json:"busy"` // a message is in flight
}

// SessionList is what /sessions responds with.
type SessionList struct {
	Live     int       `json:"live"` // how many there are
	Sessions []Session `json:"sessions"`
}
