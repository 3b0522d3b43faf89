package php

import (
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Bounds of what is kept about leaks.
const (
	maxLeakText   = 1 << 20 // bytes of a worker's report
	maxLeaks      = 1000
	maxLeakRoutes = 1000
	maxLeakWhat   = 300 // bytes
)

// Leaks is what the requests of a Pool with DetectLeaks have left behind.
type Leaks struct {
	Found  []Leak   `json:"found"`  // in the order in which they were found
	Routes []Growth `json:"routes"` // by growth, the most first
}

// Leak is something that requests leave behind.
type Leak struct {
	What     string    `json:"what"`     // such as "$cache" or "ini precision"
	How      string    `json:"how"`      // what happened to it first
	Route    string    `json:"route"`    // of the request that did it first, as are Method and Path
	Method   string    `json:"method"`   //
	Path     string    `json:"path"`     //
	First    time.Time `json:"first"`    //
	Requests int64     `json:"requests"` // in which it happened
}

// Growth is how the memory of workers grows by the requests of a route.
type Growth struct {
	Route    string `json:"route"`
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"` // kept after the requests, all together
}

// leakBook keeps the leaks of a pool.
type leakBook struct {
	mu     sync.Mutex
	found  map[string]*Leak
	routes map[string]*Growth
}

// Leaks returns what was found so far.
func (p *Pool) Leaks() Leaks {
	b := &p.leaks
	b.mu.Lock()
	defer b.mu.Unlock()
	l := Leaks{Found: []Leak{}, Routes: []Growth{}}
	for _, leak := range b.found {
		l.Found = append(l.Found, *leak)
	}
	slices.SortFunc(l.Found, func(a, b Leak) int { return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.What, b.What)) })
	for _, growth := range b.routes {
		l.Routes = append(l.Routes, *growth)
	}
	slices.SortFunc(l.Routes, func(a, b Growth) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Route, b.Route))
	})
	return l
}

// add adds a report about a request, and returns the leaks in it that are new.
func (b *leakBook) add(t task, memory int64, found map[string]string) (news []Leak) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.found == nil {
		b.found, b.routes = make(map[string]*Leak), make(map[string]*Growth)
	}
	growth := b.routes[t.route]
	if growth == nil && len(b.routes) < maxLeakRoutes {
		growth = &Growth{Route: t.route}
		b.routes[t.route] = growth
	}
	if growth != nil {
		growth.Requests++
		growth.Bytes += memory
	}
	for _, what := range slices.Sorted(maps.Keys(found)) {
		how := found[what]
		what, how = cut(what), cut(how)
		if known := b.found[what]; known != nil {
			known.Requests++
		} else if len(b.found) < maxLeaks {
			leak := Leak{What: what, How: how, Route: t.route, Method: t.method, Path: t.path, First: time.Now(), Requests: 1}
			b.found[what] = &leak
			news = append(news, leak)
		}
	}
	return news
}

// reset forgets all leaks.
func (b *leakBook) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found, b.routes = nil, nil
}

func cut(s string) string { return s[:min(len(s), maxLeakWhat)] }

// leakFrame receives a worker's report about a request, and logs what is new in it.
func (w *worker) leakFrame() error {
	text, err := io.ReadAll(io.LimitReader(&w.frames, maxLeakText))
	if err != nil {
		return err
	}
	var report struct {
		Memory int64
		Found  map[string]string
	}
	if err := json.Unmarshal(text, &report); err != nil || w.message == nil {
		w.output.Write(slog.LevelWarn, "what the request has left behind is too much to report, or can't be read")
		return nil
	}
	t := w.message.task()
	for _, leak := range w.leaks.add(t, report.Memory, report.Found) {
		w.output.Write(slog.LevelWarn, "left behind by "+t.method+" "+t.path+": "+leak.What+": "+leak.How)
	}
	return nil
}
