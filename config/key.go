package config

import (
	"errors"
	"time"
)

// Date is a day of the calendar, in seconds from 1970 to its beginning in UTC. The
// zero value is no date.
type Date int64

// Time returns the beginning of the day, in UTC.
func (d Date) Time() time.Time { return time.Unix(int64(d), 0).UTC() }

// String returns the date as it is written.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// parseDate reads a Date. Its errors are what is expected instead.
func parseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, errors.New("want a date such as 2027-06-30")
	}
	if t.Year() < 2000 {
		return 0, errors.New("the date is before 2000")
	}
	return Date(t.Unix()), nil
}

// Key is a key of a Megaki listener. A path in its place is short for `{file: PATH}`.
type Key struct {
	// The private key: RSA-2048, PEM.
	File string `yaml:"file" default:"" path:"key" short:"true"`

	// In place of `file`, the public half of a key that isn't used yet, because its
	// private half is still offline. It is announced in the list that
	// `mkd key sign` makes.
	Public string `yaml:"public" default:"" path:"file"`

	// What backends, logs and `mkd key list` call the key. Empty: the first 16 digits
	// of its fingerprint.
	Name string `yaml:"name" default:"" format:"key-name"`

	// The day from which the key is used. It is for the list alone.
	From Date `yaml:"from"`

	// The day on which the key is to be retired. It is announced in the list, and
	// `mkd check` warns of it; the key goes on to serve until `retired` is set.
	Sunset Date `yaml:"sunset"`

	// Whether clients that pin the key are refused, with the error "server key
	// blacklisted". Their sessions can't be resumed.
	Retired bool `yaml:"retired" default:"false"`
}

// checkKeys checks that each key is one thing, and that one serves.
func (w *walker) checkKeys(m *Megaki) {
	if len(m.Keys) == 0 || !w.sound(&m.Keys) {
		return
	}
	names, files := make(map[string]bool), make(map[string]bool)
	serving := false
	for i := range m.Keys {
		k := &m.Keys[i]
		switch {
		case k.File == "" && k.Public == "":
			w.wrong(k, "it has no key; give file, or public for one whose private half is offline")
		case k.File != "" && k.Public != "":
			w.wrong(&k.Public, "the private key in file has the public half; keep one of file and public")
		case k.Public != "" && k.Retired:
			w.wrong(&k.Retired, "only a key with a private half can be retired: it shows mkd which clients pin it")
		case k.Sunset != 0 && k.From > k.Sunset:
			w.wrong(&k.Sunset, "it is before from, %v", k.From)
		case files[k.File] && k.File != "":
			w.wrong(&k.File, "it is a duplicate; take one out")
		case names[k.Name] && k.Name != "":
			w.wrong(&k.Name, "another key has this name already")
		}
		names[k.Name], files[k.File] = true, true
		serving = serving || k.File != "" && !k.Retired
	}
	if !serving {
		w.wrong(&m.Keys, "no key serves; one must have a file and not be retired")
	}
}

// warnKeys warns of days that have come.
func (w *walker) warnKeys(m *Megaki) {
	if m.KeyList != "" {
		if _, err := w.sys.stat(m.KeyList); err != nil {
			w.odd(&m.KeyList, "%s doesn't exist yet; make it with mkd key sign --out %[1]s", quotePath(m.KeyList))
		}
	}
	today := Date(time.Now().Unix())
	for i := range m.Keys {
		switch k := &m.Keys[i]; {
		case k.Sunset != 0 && k.Sunset <= today && !k.Retired:
			w.odd(&k.Sunset, "this day has come: set retired: true, or another day; until then the key goes on to serve")
		case k.Public != "" && k.From != 0 && k.From <= today:
			w.odd(&k.From, "this day has come: the key needs its private half in file")
		}
	}
}

// checkKeyName checks the name of a key, which goes into header fields.
func checkKeyName(s string) error {
	if !isName(s) {
		return errors.New("a name has letters, digits, - and _ only, and 64 at most")
	}
	return nil
}
