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
	readFile func(path string, limit int64) ([]byte, error) // an error if there is more
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
