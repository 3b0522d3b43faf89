package php

import (
	"io"
	"os"
	"strings"
	"sync"
)

// spillMemory is how many bytes of a spill are kept in memory.
const spillMemory = 64 << 10

// buffers are for copying.
var buffers = sync.Pool{New: func() any { return new([partSize]byte) }}

// spill stores a text that may be long: its beginning in memory and the rest in a
// file without a name.
type spill struct {
	dir  string
	size int64 // bytes
	head strings.Builder
	file *os.File
}

func (s *spill) write(text []byte) error {
	s.size += int64(len(text))
	if s.file == nil && s.size <= spillMemory {
		s.head.Write(text)
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "mkd-")
		if err != nil {
			return err
		}
		s.file = file
		if err := os.Remove(file.Name()); err != nil {
			return err
		}
	}
	_, err := s.file.Write(text)
	return err
}

// reader returns a reader of the whole text.
func (s *spill) reader() io.Reader {
	if s.file == nil {
		return strings.NewReader(s.head.String())
	}
	return io.MultiReader(strings.NewReader(s.head.String()),
		io.NewSectionReader(s.file, 0, s.size-int64(s.head.Len())))
}

func (s *spill) close() {
	if s.file != nil {
		s.file.Close()
	}
}
