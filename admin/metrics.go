package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mkd/histogram"
)

// newRegistry returns the metrics of a daemon. They are what its Status has at the
// time at which they are read. Their labels are names of the configuration and of
// this code: nothing that a client sends is a label, but for names of certificates on
// demand that were allowed.
func newRegistry(s Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// collector is a prometheus.Collector of a Source. Its metrics depend on the
// configuration, so that it describes none beforehand.
type collector struct{ source Source }

// Describe implements prometheus.Collector.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.source.Status()
	m := metrics(out)
	m.daemon(st)
	m.requests(st)
	for i := range st.Listeners {
		m.listener(&st.Listeners[i])
	}
	for i := range st.Backends {
		m.backend(&st.Backends[i])
	}
	for i := range st.Certificates {
		m.certificate(&st.Certificates[i])
	}
}

// metrics is where metrics are sent.
type metrics chan<- prometheus.Metric

// labels are names and values in turn.
type labels []string

// send sends a metric of a kind.
func (m metrics) send(kind prometheus.ValueType, name, help string, value float64, l ...string) {
	names, values := labels(l).split()
	m <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
}

func (m metrics) gauge(name, help string, value float64, l ...string) {
	m.send(prometheus.GaugeValue, name, help, value, l...)
}

func (m metrics) counter(name, help string, value float64, l ...string) {
	m.send(prometheus.CounterValue, name, help, value, l...)
}

// durations sends a histogram, in seconds.
func (m metrics) durations(name, help string, s *histogram.Snapshot, l ...string) {
	names, values := labels(l).split()
	buckets := make(map[float64]uint64)
	n := uint64(0)
	for i, bound := range histogram.Bounds() {
		n += s.Counts[i]
		buckets[bound.Seconds()] = n
	}
	m <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, names, nil), s.Count(), s.Sum.Seconds(), buckets, values...)
}

func (l labels) split() (names, values []string) {
	for i := 0; i < len(l); i += 2 {
		names, values = append(names, l[i]), append(values, l[i+1])
	}
	return names, values
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unix returns a time in seconds since 1970, 0 for the zero time.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

const sessionsHelp = "Megaki sessions by state: live ones have a connection, parked ones of these are at rest, resumable ones are kept by the store."

// daemon sends what there is once.
func (m metrics) daemon(st *Status) {
	m.gauge("mkd_build_info", "Always 1; the labels are the version and the version of Go.", 1, "version", st.Version, "goversion", st.Go)
	m.gauge("mkd_ready", "Whether /readyz succeeds.", truth(len(st.NotReady) == 0))
	m.gauge("mkd_generation", "How many configurations were in use since the start.", float64(st.Generation))
	m.counter("mkd_reloads_total", "Reloads of the configuration by result.", float64(st.Reloads.Succeeded), "result", "success")
	m.counter("mkd_reloads_total", "Reloads of the configuration by result.", float64(st.Reloads.Failed), "result", "failure")
	m.gauge("mkd_last_reload_successful", "Whether the last reload succeeded; 1 if there was none.", truth(st.Reloads.LastError == ""))
	m.gauge("mkd_last_reload_timestamp_seconds", "When the configuration was reloaded last, or tried to; 0: never.", unix(st.Reloads.Last))
	m.gauge("mkd_requests_in_flight", "Requests that have begun and not ended. Tunnels aren't among them.", float64(st.InFlight))
	m.gauge("mkd_sessions", sessionsHelp, float64(st.Sessions.Live), "state", "live")
	m.gauge("mkd_sessions", sessionsHelp, float64(st.Sessions.Parked), "state", "parked")
	if st.Sessions.Resumable >= 0 {
		m.gauge("mkd_sessions", sessionsHelp, float64(st.Sessions.Resumable), "state", "resumable")
	}
	m.gauge("mkd_sessions_capacity", "Sessions that the store keeps at most.", float64(st.Sessions.Capacity))
	m.gauge("mkd_session_store_up", "Whether the store of sessions responds.", truth(!st.Sessions.StoreDown), "store", st.Sessions.Store)
	m.counter("mkd_session_store_failures_total", "Operations of the store of sessions that failed.", float64(st.Sessions.StoreFailures), "store", st.Sessions.Store)
	for reason, n := range st.Failures {
		m.counter("mkd_request_failures_total", "Requests that mkd or its backend failed or refused, by reason.", float64(n), "reason", reason)
	}
	m.gauge("mkd_message_memory_bytes", "Memory of the buffers of Megaki messages.", float64(st.Memory.Messages))
	m.gauge("mkd_message_memory_limit_bytes", "limits.message_memory.", float64(st.Memory.MessagesLimit))
	m.gauge("mkd_http_memory_bytes", "Memory of what HTTP clients have sent and nobody has read yet.", float64(st.Memory.HTTP))
	m.gauge("mkd_http_memory_limit_bytes", "limits.http_memory.", float64(st.Memory.HTTPLimit))
	m.gauge("mkd_spool_bytes", "Bodies that wait for a backend, in memory and in files.", float64(st.Memory.Spool))
	m.gauge("mkd_spool_memory_bytes", "Bodies that wait for a backend, in memory.", float64(st.Memory.SpoolMemory))
	m.gauge("mkd_spool_limit_bytes", "limits.spool.max_total.", float64(st.Memory.SpoolLimit))
	for reason, n := range st.LogDropped {
		m.counter("mkd_log_lines_dropped_total", "Log lines that were dropped, by reason.", float64(n), "reason", reason)
	}
}

// requests sends what was counted of requests.
func (m metrics) requests(st *Status) {
	for i := range st.Counts {
		c := &st.Counts[i]
		for class, n := range c.Classes {
			m.counter("mkd_requests_total", "Requests that have ended, by the class of their status. A raw Megaki message that has a response is a 2xx.",
				float64(n), "listener", c.Listener, "route", c.Route, "backend", c.Backend, "code", classNames[class])
		}
		m.counter("mkd_request_bytes_total", "Bytes of the bodies of requests, and of Megaki messages.", float64(c.In), "listener", c.Listener, "route", c.Route, "backend", c.Backend)
		m.counter("mkd_response_bytes_total", "Bytes of the bodies of responses, and of Megaki messages.", float64(c.Out), "listener", c.Listener, "route", c.Route, "backend", c.Backend)
	}
	durations := make(map[routeKey]*histogram.Snapshot)
	for c := range st.AllCounts() {
		key := routeKey{c.Route, c.Backend}
		if durations[key] == nil {
			durations[key] = new(histogram.Snapshot)
		}
		durations[key].Add(&c.Duration)
	}
	for key, d := range durations {
		if key.name == "" {
			continue // it isn't in the configuration any more
		}
		m.durations("mkd_request_duration_seconds", "How long requests took, from their head to the end of their response. Tunnels aren't among them.",
			d, "route", key.name, "backend", key.backend)
	}
}

func (m metrics) listener(l *Listener) {
	m.gauge("mkd_connections", "Open connections.", float64(l.Connections), "listener", l.Name, "kind", l.Kind)
	m.gauge("mkd_connections_limit", "max_connections of the listener.", float64(l.MaxConnections), "listener", l.Name)
	m.counter("mkd_connections_refused_total", "Connections of clients that had their share already.", float64(l.Refused), "listener", l.Name)
	if l.Kind == "https" {
		m.counter("mkd_tls_handshake_failures_total", "TLS handshakes that failed.", float64(l.TLSFailures), "listener", l.Name)
	}
	if l.Megaki == nil {
		return
	}
	m.counter("mkd_messages_total", "Megaki messages that were handled.", float64(l.Requests), "listener", l.Name)
	for result, n := range l.Megaki.Handshakes {
		m.counter("mkd_handshakes_total", "Megaki handshakes by result.", float64(n), "listener", l.Name, "result", result)
	}
	for result, n := range l.Megaki.Resumptions {
		m.counter("mkd_resumptions_total", "Resumptions of Megaki sessions by result.", float64(n), "listener", l.Name, "result", result)
	}
	m.gauge("mkd_rsa_slots", "Handshakes whose RSA work may be done at once.", float64(l.Megaki.RSASlots), "listener", l.Name)
	m.gauge("mkd_rsa_slots_busy", "Handshakes whose RSA work is being done.", float64(l.Megaki.RSABusy), "listener", l.Name)
	m.gauge("mkd_rsa_waiting", "Handshakes that wait for their RSA work.", float64(l.Megaki.RSAWaiting), "listener", l.Name)
	for _, k := range l.Megaki.Keys {
		m.counter("mkd_key_handshakes_total", "Megaki handshakes by the server key that the client pins; key is the beginning of its fingerprint.",
			float64(k.Handshakes), "listener", l.Name, "key", k.ID)
		m.gauge("mkd_key_last_seen_timestamp_seconds", "When a client that pins the key was seen last; 0: not since the start.", unix(k.LastSeen), "listener", l.Name, "key", k.ID)
	}
}

func (m metrics) backend(b *Backend) {
	m.gauge("mkd_backend_up", "Whether the backend can take requests.", truth(b.Up), "backend", b.Name, "kind", b.Kind)
	if p := b.Pool; p != nil {
		m.pool(b.Name, p)
	}
	if c := b.CGI; c != nil {
		m.gauge("mkd_cgi_processes", "Processes of php-cgi.", float64(len(c.PIDs)), "backend", b.Name)
		m.counter("mkd_cgi_starts_total", "Processes of php-cgi that were started.", float64(c.Started), "backend", b.Name)
		m.counter("mkd_cgi_crashes_total", "Processes of php-cgi that ended by a signal or too early.", float64(c.Crashes), "backend", b.Name)
	}
	for _, u := range b.Upstreams {
		m.gauge("mkd_upstream_up", "Whether the server is sent requests.", truth(u.Up), "backend", b.Name, "upstream", u.Name)
		m.gauge("mkd_upstream_requests_in_flight", "Requests in flight at the server.", float64(u.Active), "backend", b.Name, "upstream", u.Name)
		m.gauge("mkd_upstream_queue", "Requests that wait for a connection to the server.", float64(u.Waiting), "backend", b.Name, "upstream", u.Name)
		m.counter("mkd_upstream_requests_total", "Requests that were sent to the server.", float64(u.Requests), "backend", b.Name, "upstream", u.Name)
		m.counter("mkd_upstream_failures_total", "Requests that failed by the server's fault.", float64(u.Failed), "backend", b.Name, "upstream", u.Name)
		m.counter("mkd_upstream_retries_total", "Requests that failed at the server and were sent once more.", float64(u.Retried), "backend", b.Name, "upstream", u.Name)
	}
}

// pool sends the state of a pool. A worker's process id is no label: there would be
// a new series for each worker that ever was.
func (m metrics) pool(backend string, p *Pool) {
	states := map[string]int{WorkerIdle: 0, WorkerBusy: 0, WorkerHanging: 0, WorkerDraining: 0, "starting": p.Starting, "exiting": p.Exiting}
	memory, most := int64(0), int64(0)
	for _, w := range p.Workers {
		states[w.State]++
		memory, most = memory+w.Memory, max(most, w.Memory)
	}
	for state, n := range states {
		m.gauge("mkd_workers", "PHP workers by state.", float64(n), "backend", backend, "state", state)
	}
	m.gauge("mkd_workers_limit", "workers.max of the backend.", float64(p.MaxWorkers), "backend", backend)
	m.gauge("mkd_worker_memory_bytes", "Memory that the scripts of all workers took, as of their last requests.", float64(memory), "backend", backend)
	m.gauge("mkd_worker_memory_highest_bytes", "Memory of the worker that has most.", float64(most), "backend", backend)
	m.counter("mkd_worker_starts_total", "Workers that became ready.", float64(p.Started), "backend", backend)
	for reason, n := range p.Ended {
		m.counter("mkd_worker_ends_total", "Workers that ended, by reason.", float64(n), "backend", backend, "reason", reason)
	}
	m.gauge("mkd_queue_depth", "Requests that wait for a worker.", float64(p.Waiting), "backend", backend)
	m.gauge("mkd_queue_limit", "queue of the backend.", float64(p.Queue), "backend", backend)
	m.durations("mkd_queue_wait_seconds", "How long requests waited for a worker, those that got none included.", &p.Wait, "backend", backend)
	m.counter("mkd_queue_refused_total", "Requests that the queue refused, by reason.", float64(p.QueueFull), "backend", backend, "reason", "full")
	m.counter("mkd_queue_refused_total", "Requests that the queue refused, by reason.", float64(p.QueueTimeouts), "backend", backend, "reason", "timeout")
	m.counter("mkd_worker_retries_total", "Requests that another worker got, because the first was dead.", float64(p.Retried), "backend", backend)
}

func (m metrics) certificate(c *Certificate) {
	if !c.NotAfter.IsZero() {
		m.gauge("mkd_certificate_expiry_timestamp_seconds", "When the certificate expires.", unix(c.NotAfter), "listener", c.Listener, "source", c.Source, "name", c.Name)
	}
	m.gauge("mkd_certificate_failing", "Whether the last attempt to load, obtain or renew the certificate failed, or there is none.",
		truth(c.Error != "" || c.NotAfter.IsZero()), "listener", c.Listener, "source", c.Source, "name", c.Name)
}
