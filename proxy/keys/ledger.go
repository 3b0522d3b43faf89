// Package keys counts the handshakes of server keys, and keeps the counts across
// restarts: before a key is retired, they show who still pins it.
package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mkd/megaki"
)

const (
	// saveInterval is how often new counts are written.
	saveInterval = 5 * time.Second
	// maxFile bounds what is read of a file, in bytes.
	maxFile = 16 << 20

	minutesKept = 60
	hoursKept   = 30 * 24
)

// Usage is how much a key was used.
type Usage struct {
	Hour, Day, Month uint64    // handshakes in the last hour, 24 hours, 30 days
	Last             time.Time // the last one; zero: there was none in 30 days
}

// Ledger counts the handshakes of keys. What it counted since the last Save is in
// memory, all else in a file, to which several processes may add.
type Ledger struct {
	path string

	saving sync.Mutex // held while the file is written, which may take long

	mu    sync.Mutex // each handshake takes it
	added file
}

// file is the content of a file.
type file struct {
	Keys map[string]*counts `json:"keys"` // by fingerprint
}

// counts are the handshakes of a key, by minutes and by hours since 1970.
type counts struct {
	Minutes map[int64]uint64 `json:"minutes"`
	Hours   map[int64]uint64 `json:"hours"`
	Last    time.Time        `json:"last"`
}

// Open returns the ledger in a file, which is made with the first Save.
func Open(path string) *Ledger { return &Ledger{path: path} }

// Count counts a handshake of a key.
func (l *Ledger) Count(id megaki.KeyID) { l.count(id, time.Now()) }

func (l *Ledger) count(id megaki.KeyID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added.add(id.String(), &counts{
		Minutes: map[int64]uint64{now.Unix() / 60: 1},
		Hours:   map[int64]uint64{now.Unix() / 3600: 1},
		Last:    now.UTC().Truncate(time.Second),
	})
}

// add adds the counts of a key.
func (f *file) add(id string, more *counts) {
	if f.Keys == nil {
		f.Keys = make(map[string]*counts)
	}
	c := f.Keys[id]
	if c == nil { // null in a file, too
		c = new(counts)
		f.Keys[id] = c
	}
	if c.Minutes == nil {
		c.Minutes = make(map[int64]uint64)
	}
	if c.Hours == nil {
		c.Hours = make(map[int64]uint64)
	}
	for m, n := range more.Minutes {
		c.Minutes[m] += n
	}
	for h, n := range more.Hours {
		c.Hours[h] += n
	}
	if more.Last.After(c.Last) {
		c.Last = more.Last
	}
}

func (f *file) addAll(more *file) {
	for id, c := range more.Keys {
		if c != nil {
			f.add(id, c)
		}
	}
}

// forget removes what is older than is counted.
func (f *file) forget(now time.Time) {
	for id, c := range f.Keys {
		if c == nil {
			delete(f.Keys, id)
			continue
		}
		for m := range c.Minutes {
			if m <= now.Unix()/60-minutesKept {
				delete(c.Minutes, m)
			}
		}
		for h := range c.Hours {
			if h <= now.Unix()/3600-hoursKept {
				delete(c.Hours, h)
			}
		}
		if len(c.Hours) == 0 {
			delete(f.Keys, id)
		}
	}
}

// Report returns the usage of each key that was used in 30 days. What was counted while the
// clock was ahead of now isn't in the last hour, nor day nor month.
func (l *Ledger) Report() (map[megaki.KeyID]Usage, error) { return l.report(time.Now()) }

func (l *Ledger) report(now time.Time) (map[megaki.KeyID]Usage, error) {
	l.saving.Lock() // what is being written is in the file afterwards
	defer l.saving.Unlock()
	all, err := l.read()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	all.addAll(&l.added)
	l.mu.Unlock()
	all.forget(now)
	report := make(map[megaki.KeyID]Usage)
	for text, c := range all.Keys {
		id, err := megaki.ParseKeyID(text)
		if err != nil {
			continue
		}
		u := Usage{Last: c.Last}
		for m, n := range c.Minutes {
			if m <= now.Unix()/60 {
				u.Hour += n
			}
		}
		for h, n := range c.Hours {
			if h > now.Unix()/3600 {
				continue
			}
			u.Month += n
			if h > now.Unix()/3600-24 {
				u.Day += n
			}
		}
		report[id] = u
	}
	return report, nil
}

// read returns the content of the file.
func (l *Ledger) read() (*file, error) {
	f := new(file)
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("the counts of keys in %s: the file is too large; move it away", l.path)
	}
	data, err := os.ReadFile(l.path)
	if err != nil {
		return nil, fmt.Errorf("the counts of keys: %w", err)
	}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("the counts of keys in %s: %w; move the file away, and counts begin anew", l.path, err)
	}
	return f, nil
}

// Save adds what was counted since the last Save to the file.
func (l *Ledger) Save() error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	added := l.added
	l.added = file{}
	l.mu.Unlock()
	if len(added.Keys) == 0 {
		return nil
	}
	err := l.write(&added)
	if err != nil {
		l.mu.Lock()
		l.added.addAll(&added)
		l.mu.Unlock()
	}
	return err
}

// write adds counts to the file.
func (l *Ledger) write(added *file) error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return fmt.Errorf("the counts of keys: %w", err)
	}
	unlock, err := lock(l.path + ".lock")
	if err != nil {
		return fmt.Errorf("the counts of keys: %w", err)
	}
	defer unlock()
	all, err := l.read()
	if err != nil {
		return err
	}
	all.addAll(added)
	all.forget(time.Now())
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	temporary := l.path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("the counts of keys: %w", err)
	}
	if err := os.Rename(temporary, l.path); err != nil {
		return fmt.Errorf("the counts of keys: %w", err)
	}
	return nil
}

// Run saves new counts until ctx ends. failed is called with an error that is another
// than the last.
func (l *Ledger) Run(ctx context.Context, failed func(error)) {
	last := ""
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := l.Save()
		if err != nil && err.Error() != last {
			failed(err)
		}
		if last = ""; err != nil {
			last = err.Error()
		}
	}
}
