package keys

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"mkd/config"
	"mkd/megaki"
)

// LedgerFile is the name of the ledger's file in the folder of storage.
const LedgerFile = "keys.json"

// Row is a key of a listener and its use.
type Row struct {
	Listener string
	Key
	Usage
	Share float64 // of the listener's handshakes in 30 days, 0 to 1
}

// Report returns the keys of all Megaki listeners, in the order of the configuration,
// with their use.
func Report(cfg *config.Config, ledger *Ledger) ([]Row, error) {
	used, err := ledger.Report()
	if err != nil {
		return nil, err
	}
	var rows []Row
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if l.Megaki == nil {
			continue
		}
		list, err := Load(l.Megaki)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		total, first := uint64(0), len(rows)
		for _, k := range list {
			rows = append(rows, Row{Listener: l.Name, Key: k, Usage: used[k.ID]})
			total += used[k.ID].Month
		}
		for j := first; j < len(rows) && total > 0; j++ {
			rows[j].Share = float64(rows[j].Month) / float64(total)
		}
	}
	return rows, nil
}

// State returns what a key is used for now.
func (k *Key) State() string {
	switch {
	case k.Retired:
		return "retired"
	case k.Private == nil:
		return dated("announced", "from", k.From)
	case k.Sunset != 0:
		return dated("serves", "until", k.Sunset)
	}
	return "serves"
}

func dated(state, word string, d config.Date) string {
	if d == 0 {
		return state
	}
	return fmt.Sprintf("%s %s %v", state, word, d)
}

// Listener returns the Megaki listener of a name, or the only one if name is "".
func Listener(cfg *config.Config, name string) (*config.Listener, error) {
	var found *config.Listener
	var names []string
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if l.Megaki == nil || name != "" && l.Name != name {
			continue
		}
		found, names = l, append(names, l.Name)
	}
	switch {
	case found == nil && name != "":
		return nil, fmt.Errorf("no megaki listener has the name %q", name)
	case found == nil:
		return nil, errors.New("the configuration has no megaki listener")
	case len(names) > 1:
		return nil, fmt.Errorf("there are several megaki listeners: %s; name one with --listener", strings.Join(names, ", "))
	}
	return found, nil
}

// Find returns the index of a listener's key by its name, its file, or the beginning of
// its fingerprint.
func Find(list []Key, text string) (int, error) {
	found := -1
	for i := range list {
		k := &list[i]
		if k.Name == text || k.File == filepath.Clean(text) || len(text) >= 8 && strings.HasPrefix(k.ID.String(), strings.ToLower(text)) {
			if found >= 0 {
				return 0, fmt.Errorf("%q fits several keys; write more of the fingerprint", text)
			}
			found = i
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("no key has the name, the file or the fingerprint %q; see mkd key list", text)
	}
	return found, nil
}

// Retire returns the keys of a configuration with one retired. It fails if none would
// serve any more.
func Retire(list []Key, i int) ([]config.Key, error) {
	if list[i].Private == nil {
		return nil, errors.New("the private half of this key is offline; only a key with a private half can be retired: it shows mkd which clients pin it")
	}
	var next []config.Key
	serving := false
	for j, k := range list {
		if j == i {
			k.Retired, k.Sunset = true, 0
		}
		serving = serving || k.Private != nil && !k.Retired
		next = append(next, k.Key)
	}
	if !serving {
		return nil, errors.New("no other key serves: nobody could connect any more; make one first with mkd key rotate")
	}
	return next, nil
}

// ConfigLines returns keys as config.yaml has them, with paths as seen from the file's
// folder.
func ConfigLines(list []config.Key, dir string) string {
	var b strings.Builder
	b.WriteString("keys:\n")
	for _, k := range list {
		if k == (config.Key{File: k.File}) {
			fmt.Fprintf(&b, "  - %s\n", from(dir, k.File))
			continue
		}
		var fields []string
		add := func(key, value string) {
			if value != "" {
				fields = append(fields, key+": "+value)
			}
		}
		add("file", from(dir, k.File))
		add("public", from(dir, k.Public))
		if k.Name != "" {
			add("name", fmt.Sprintf("%q", k.Name))
		}
		for _, d := range []struct {
			key  string
			date config.Date
		}{{"from", k.From}, {"sunset", k.Sunset}} {
			if d.date != 0 {
				add(d.key, d.date.String())
			}
		}
		if k.Retired {
			add("retired", "true")
		}
		fmt.Fprintf(&b, "  - {%s}\n", strings.Join(fields, ", "))
	}
	return b.String()
}

// from returns a path as seen from a folder.
func from(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil {
		return rel
	}
	return path
}

// List returns the list of a listener's keys that are not retired, to be signed.
func List(keys []Key, site string, serial uint64, expires time.Time) (*megaki.KeyList, error) {
	l := &megaki.KeyList{Site: site, Serial: serial, Expires: expires.UTC()}
	for _, k := range keys {
		if k.Retired {
			continue
		}
		public, err := megaki.PinnedKey(k.Public)
		if err != nil {
			return nil, err
		}
		listed := megaki.ListedKey{Name: k.Name, Public: public}
		if k.From != 0 {
			listed.From = k.From.Time()
		}
		if k.Sunset != 0 {
			listed.Sunset = k.Sunset.Time()
		}
		l.Keys = append(l.Keys, listed)
	}
	return l, nil
}
