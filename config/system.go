package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// system is what a configuration refers to outside of it.
type system struct {
	stat     func(path string) (fs.FileInfo, error)
	readFile func(path string, limit int64) ([]byte, error) // an error if there is more
	glob     func(pattern string) ([]string, error)         // sorted
	getenv   func(name string) (value string, set bool)
	uid      func() int // of the process
}

// machine is the system that the process runs on.
var machine = system{os.Stat, readFile, filepath.Glob, os.LookupEnv, os.Geteuid}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %v", Size(limit))}
	}
	return data, err
}
