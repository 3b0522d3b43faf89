package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
)

// File is a file of log lines, which Reopen opens anew after it was renamed. Its
// methods are safe for concurrent use.
type File struct {
	path    string
	mode    fs.FileMode
	current atomic.Pointer[os.File]
}

// OpenFile opens a file to append to. One that doesn't exist is made with a mode,
// whatever the umask.
func OpenFile(path string, mode fs.FileMode) (*File, error) {
	f := &File{path: path, mode: mode}
	opened, err := f.open()
	if err != nil {
		return nil, err
	}
	f.current.Store(opened)
	return f, nil
}

func (f *File) open() (*os.File, error) {
	// A pipe that nobody reads is an error; without O_NONBLOCK it would hold up the start, or
	// whoever reopens the file, until somebody does.
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK
	made, err := os.OpenFile(f.path, flags|os.O_EXCL, f.mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		made, err = os.OpenFile(f.path, flags, f.mode)
	case err == nil:
		err = made.Chmod(f.mode)
	}
	switch {
	case errors.Is(err, syscall.ENXIO) && isPipe(f.path):
		return nil, fmt.Errorf("log file: %s is a pipe that nobody reads: start its reader first", f.path)
	case err != nil:
		return nil, fmt.Errorf("log file: %w", err)
	}
	return made, nil
}

func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// Reopen opens the file anew. After an error it goes on with the old one.
func (f *File) Reopen() error {
	opened, err := f.open()
	if err != nil {
		return err
	}
	return f.current.Swap(opened).Close()
}

// Write implements io.Writer for whole lines.
func (f *File) Write(lines []byte) (int, error) {
	for {
		file := f.current.Load()
		n, err := file.Write(lines)
		if errors.Is(err, os.ErrClosed) && n == 0 && f.current.Load() != file {
			continue // it was reopened just now
		}
		return n, err
	}
}

// Close closes the file.
func (f *File) Close() error { return f.current.Load().Close() }
