//go:build !unix

package megaki

import "errors"

const canTryRead = false

func (w *wire) tryRead(uintptr) bool { return true }

func (w *wire) readable() bool { return false }

func (w *wire) waitReadable() error { return errors.ErrUnsupported }
