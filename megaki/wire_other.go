//go:build !unix

package megaki

const canTryRead = false

func (w *wire) tryRead(uintptr) bool { return true }

func (w *wire) readable() bool { return false }
