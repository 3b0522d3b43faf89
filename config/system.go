package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// system is what a configuration refers to outside of it.
type system struct {
	stat     func(path string) (fs.FileInfo, error)
	readFile func(path string, limit int64) ([]byte, error) // an error if there is more, or if it isn't a regular file
	glob     func(pattern string) ([]string, error)         // sorted
	getenv   func(name string) (value string, set bool)
	uid      func() int // of the process
}

// machine is the system that the process runs on.
var machine = system{os.Stat, readFile, glob, os.LookupEnv, os.Geteuid}

// glob is filepath.Glob, but reports folders that can't be read: without them the result
// lacks files.
func glob(pattern string) (files []string, err error) {
	if files, err = filepath.Glob(pattern); err != nil {
		return nil, err
	}
	folder, name := filepath.Dir(pattern), filepath.Base(pattern)
	folders := []string{folder}
	if strings.ContainsAny(folder, wildcards) {
		if folders, err = glob(folder); err != nil {
			return nil, err
		}
	}
	for _, folder := range folders {
		if strings.ContainsAny(name, wildcards) {
			err = listable(folder)
		} else {
			_, err = os.Lstat(filepath.Join(folder, name))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return nil, err
		}
	}
	return files, nil
}

// wildcards are the letters that make a name a pattern.
const wildcards = "*?["

func listable(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Readdirnames(1); err == io.EOF {
		return nil
	}
	return err
}

// readFile reads a regular file. A pipe or a terminal would hold up a reload until somebody
// writes to it.
func readFile(path string, limit int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is %s; want a file", fileKind(info.Mode()))}
	}
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

// fileKind returns what a path leads to that isn't a regular file.
func fileKind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// ReadFile returns the content of a regular file. One that is larger than limit is an
// error.
func ReadFile(path string, limit int64) ([]byte, error) { return machine.readFile(path, limit) }
