//go:build !linux

package megaki

import (
	"errors"
	"time"
)

// canRest is whether connections can wait in a pollSet. Elsewhere each keeps its
// goroutine.
const canRest = false

type pollSet struct{}

func (s *pollSet) open() error             { return errors.ErrUnsupported }
func (s *pollSet) close()                  {}
func (s *pollSet) add(int, uint64) error   { return errors.ErrUnsupported }
func (s *pollSet) remove(int) error        { return errors.ErrUnsupported }
func (s *pollSet) wakeAt(time.Time)        {}
func (s *pollSet) wait() ([]uint64, error) { return nil, errors.ErrUnsupported }
