package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// health registers what monitoring asks for: /healthz, /readyz and /metrics.
func (s *Server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Control.Alive(r.Context()); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		text(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		st := s.Source.Status()
		if len(st.NotReady) > 0 {
			text(w, http.StatusServiceUnavailable, strings.Join(st.NotReady, "\n")+"\n")
			return
		}
		ready := "ready\n"
		if st.Sessions.StoreDown { // it costs clients handshakes, and no message
			ready += "warning: the session store fails: " + st.Sessions.StoreError + "\n"
		}
		text(w, http.StatusOK, ready)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout,
	}))
}

// Bounds of the requests for /metrics.
const (
	maxScrapes    = 4
	scrapeTimeout = 10 * time.Second
)

// state registers what shows the state of the daemon. control is whether actions
// can be asked for, too.
func (s *Server) state(mux *http.ServeMux, control bool) {
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.recorder.status()) })
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.FormValue("limit"))
		if err != nil || limit < 0 {
			limit = defaultSessions
		}
		some, all := s.Source.Sessions(min(limit, maxSessions))
		writeJSON(w, SessionList{all, some})
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, control) })
	servePage(mux)
}

// How many sessions /sessions lists.
const (
	defaultSessions = 100
	maxSessions     = 20000
)

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v)
}

// Bounds of the streams of events.
const (
	maxStreams    = 32
	streamTimeout = 10 * time.Second // for a client that takes no byte
)

// stream sends the state of the daemon once a second, as server-sent events.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, control bool) {
	history, tick, ok := s.recorder.join()
	if !ok {
		text(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages watch already\n", maxStreams))
		return
	}
	defer s.recorder.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{}) // or else the request's context would end with it
	send := func(data []byte) bool {
		rc.SetWriteDeadline(time.Now().Add(streamTimeout))
		_, err := fmt.Fprintf(w, "data: %s\n\n", data)
		return err == nil && rc.Flush() == nil
	}
	first, err := json.Marshal(event{Control: control, History: history, Status: s.recorder.status()})
	if err != nil || !send(first) {
		return
	}
	for {
		select {
		case <-tick:
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		}
		var data []byte
		if data, tick = s.recorder.next(); data != nil && !send(data) {
			return
		}
	}
}

// localOnly refuses requests whose Host isn't this machine's own name. A page of
// another site that has its own name resolved to 127.0.0.1 would reach it otherwise.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		switch strings.ToLower(host) {
		case "localhost", "127.0.0.1", "::1", "[::1]":
			next.ServeHTTP(w, r)
		default:
			text(w, http.StatusForbidden, "the Host must be localhost, 127.0.0.1 or [::1]\n")
		}
	})
}
