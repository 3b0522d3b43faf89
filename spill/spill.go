// Package spill makes the files for what doesn't fit in memory, such as long bodies
// of requests.
package spill

import "os"

// File creates a file without a name in a folder, "" for the system's: nothing of
// it is left when it is closed, however the process ends.
func File(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "mkd-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
