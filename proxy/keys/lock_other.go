//go:build !unix

package keys

// lock locks nothing: one process at a time is expected to use the file.
func lock(string) (unlock func(), err error) { return func() {}, nil }
