package config

import "slices"

// Storage is where is kept what must outlive the daemon: certificates, their keys, the
// ACME account, and how often server keys are used. A path in its place is short for
// `{path: PATH}`.
type Storage struct {
	// A folder. It is made when it is needed, for mkd's user alone.
	Path string `yaml:"path" default:"storage" path:"newdir" short:"true"`

	// Redis or Valkey, for certificates that come by ACME: nodes share accounts,
	// certificates and challenges, so that one node obtains a certificate for all, and
	// whichever is asked responds to the authority. All else is in `path`.
	Redis *StorageRedis `yaml:"redis"`
}

// StorageRedis keeps certificates in Redis or Valkey. All of them are in one key
// without an expiry: `maxmemory-policy` must not be one of `allkeys-`.
type StorageRedis struct {
	Redis

	// What the keys begin with.
	Prefix string `yaml:"prefix" default:"mkd:storage:"`

	// A file with the secret that all is sealed with: 32 random bytes at least, as
	// `openssl rand -hex 32` prints them. All nodes have the same.
	SecretFile string `yaml:"secret_file,required" path:"secret"`
}

// checkStorage checks the default folder where it will be needed. One that is
// given was checked when it was read.
func (w *walker) checkStorage(cfg *Config) {
	if r := cfg.Storage.Redis; r != nil {
		w.checkRedis(&r.Redis)
	}
	if o := w.at(&cfg.Storage.Path); o == nil || o.given {
		return
	}
	for i := range cfg.Listeners {
		h := cfg.Listeners[i].HTTPS
		if h == nil || !slices.ContainsFunc(h.Certificates(), func(c Certificate) bool { return c.ACME != nil || c.Internal }) {
			continue
		}
		if info, err := w.sys.stat(cfg.Storage.Path); err == nil && !info.IsDir() {
			w.wrong(&cfg.Storage.Path, "%s isn't a folder, and certificates are kept there; give another in storage", quotePath(cfg.Storage.Path))
		}
		return
	}
}
