package config

import (
	"reflect"
	"testing"
	"time"
)

// keys puts the keys of a listener into minimal.
func keys(text string) string {
	return withLine("listeners", `listeners: {app: {megaki: {address: ":1", keys: [`+text+`]}}}`)
}

func TestKeys(t *testing.T) {
	cfg := mustParse(t, keys("{file: next.key, name: '2027', from: 2026-07-01}, plain.key, {file: server.key, sunset: 2099-06-30}, {file: old.key, retired: true}, {public: p.pub, from: 2099-01-01}"))
	day := func(y, m int, d int) Date { return Date(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix()) }
	want := []Key{{File: "next.key", Name: "2027", From: day(2026, 7, 1)}, {File: "plain.key"}, {File: "server.key", Sunset: day(2099, 6, 30)},
		{File: "old.key", Retired: true}, {Public: "p.pub", From: day(2099, 1, 1)}}
	if have := cfg.Listeners[0].Megaki.Keys; !reflect.DeepEqual(have, want) {
		t.Errorf("%+v\nwant %+v", have, want)
	}
	if have := want[2].Sunset.String(); have != "2099-06-30" {
		t.Error(have)
	}
}

func TestKeyErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "{name: a}", "2:49: listeners.app.megaki.keys: no key serves; one must have a file and not be retired\n2:50: listeners.app.megaki.keys[0]: it has no key; give file, or public for one whose private half is offline"},
		{"both", "{file: a, public: b}", "2:68: listeners.app.megaki.keys[0].public: the private key in file has the public half; keep one of file and public"},
		{"retired public", "a, {public: b, retired: true}", "2:74: listeners.app.megaki.keys[1].retired: only a key with a private half can be retired: it shows mkd which clients pin it"},
		{"all retired", "{file: a, retired: true}", "2:49: listeners.app.megaki.keys: no key serves; one must have a file and not be retired"},
		{"public alone", "{public: a}", "2:49: listeners.app.megaki.keys: no key serves; one must have a file and not be retired"},
		{"before from", "{file: a, from: 2027-06-01, sunset: 2027-05-31}", "2:86: listeners.app.megaki.keys[0].sunset: it is before from, 2027-06-01"},
		{"a number", "{file: a, sunset: 2027}", "2:68: listeners.app.megaki.keys[0].sunset: got the number 2027; want a date such as 2027-06-30"},
		{"no such day", "{file: a, sunset: '2027-02-30'}", "2:68: listeners.app.megaki.keys[0].sunset: got \"2027-02-30\"; want a date such as 2027-06-30"},
		{"a time", "{file: a, sunset: 2027-06-01T00:00:00Z}", "2:68: listeners.app.megaki.keys[0].sunset: got the date 2027-06-01T00:00:00Z; want a date such as 2027-06-30"},
		{"long ago", "{file: a, sunset: 1970-01-01}", "2:68: listeners.app.megaki.keys[0].sunset: got the date 1970-01-01; the date is before 2000"},
		{"file twice", "a, {file: a}", "2:60: listeners.app.megaki.keys[1].file: it is a duplicate; take one out"},
		{"name twice", "{file: a, name: n}, {file: b, name: n}", "2:86: listeners.app.megaki.keys[1].name: another key has this name already"},
		{"odd name", "{file: a, name: 'a b'}", "2:66: listeners.app.megaki.keys[0].name: got \"a b\"; a name has letters, digits, - and _ only, and 64 at most"},
		{"missing", "missing.key", "2:50: listeners.app.megaki.keys[0]: missing.key doesn't exist; make it with mkd keygen --out missing.key"},
		{"missing in a block", "{file: missing.key}", "2:57: listeners.app.megaki.keys[0].file: missing.key doesn't exist; make it with mkd keygen --out missing.key"},
		{"a list", "[a]", "2:50: listeners.app.megaki.keys[0]: got a list; want a string"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, keys(c.text), c.want) })
	}
}

func TestKeyWarnings(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"to come", "{file: a, sunset: 2099-01-01}, {public: b, from: 2099-01-01}", ""},
		{"retired", "a, {file: b, sunset: 2001-01-01, retired: true}", ""},
		{"sunset has come", "{file: a, sunset: 2001-01-01}", "2:68: listeners.app.megaki.keys[0].sunset: this day has come: set retired: true, or another day; until then the key goes on to serve"},
		{"from has come", "a, {public: b, from: 2001-01-01}", "2:71: listeners.app.megaki.keys[1].from: this day has come: the key needs its private half in file"},
		{"readable by others", "open", "2:50: listeners.app.megaki.keys[0]: open can be read by others than its owner; chmod 600 it"},
	} {
		t.Run(c.name, func(t *testing.T) { wantWarnings(t, keys(c.text), c.want) })
	}
}
