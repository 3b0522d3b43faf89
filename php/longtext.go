package php

import (
	"io"
	"os"
	"strings"
	"sync"

	"mkd/spill"
)

// longTextMemory is how many bytes of a longText are kept in memory.
const longTextMemory = 64 << 10

// buffers are for copying.
var buffers = sync.Pool{New: func() any { return new([partSize]byte) }}

// longText is a text that may be long: its beginning in memory and the rest in a
// file without a name.
type longText struct {
	dir  string
	size int64 // bytes
	head strings.Builder
	file *os.File
}

func (s *longText) write(text []byte) error {
	s.size += int64(len(text))
	if s.file == nil && s.size <= longTextMemory {
		s.head.Write(text)
		return nil
	}
	if s.file == nil {
		file, err := spill.File(s.dir)
		if err != nil {
			return err
		}
		s.file = file
	}
	_, err := s.file.Write(text)
	return err
}

// reader returns a reader of the whole text.
func (s *longText) reader() io.Reader {
	if s.file == nil {
		return strings.NewReader(s.head.String())
	}
	return io.MultiReader(strings.NewReader(s.head.String()),
		io.NewSectionReader(s.file, 0, s.size-int64(s.head.Len())))
}

func (s *longText) close() {
	if s.file != nil {
		s.file.Close()
	}
}
