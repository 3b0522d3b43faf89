package config

import "testing"

func TestStorage(t *testing.T) {
	for text, want := range map[string]Storage{
		"":                         {Path: "storage"},
		"storage: a.dir\n":         {Path: "a.dir"},
		"storage: {path: a.dir}\n": {Path: "a.dir"},
		"storage: {}\n":            {Path: "storage"},
		"storage:\n":               {Path: "storage"},
	} {
		if have := mustParse(t, minimal+text).Storage; have != want {
			t.Errorf("%q: %+v, want %+v", text, have, want)
		}
	}
	have := mustParse(t, minimal+"storage: {redis: {addresses: ['a:1'], secret_file: s}}\n").Storage
	if r := have.Redis; have.Path != "storage" || r == nil || r.Prefix != "mkd:storage:" || r.SecretFile != "s" || r.Addresses[0] != "a:1" {
		t.Errorf("%+v", have)
	}
}

func TestStorageErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no secret", "{redis: {addresses: ['a:1']}}", "5:11: storage.redis.secret_file: the key is missing, and must be given"},
		{"no addresses", "{redis: {secret_file: s}}", "5:11: storage.redis.addresses: the key is missing, and must be given"},
		{"a list", "[a]", "5:10: storage: got a list; want a string"},
		{"cluster with a database", "{redis: {addresses: ['a:1'], secret_file: s, cluster: true, db: 2}}", "5:74: storage.redis.db: a Redis Cluster has one database, 0"},
	} {
		t.Run(c.name, func(t *testing.T) { wantErrors(t, minimal+"storage: "+c.text+"\n", c.want) })
	}
}
