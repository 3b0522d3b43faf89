package php

import (
	"errors"
	"fmt"
)

// Errors of Pool.Do, besides *ScriptError, *WorkerError, the error of the context,
// and that of the writer of the response.
var (
	// ErrQueueFull reports that the queue for a worker has no room for the call.
	ErrQueueFull = errors.New("all PHP workers are busy, and the queue is full")
	// ErrQueueTimeout reports that no worker became free in time.
	ErrQueueTimeout = errors.New("no PHP worker became free in time")
	// ErrTimeout reports that the script took too long. Its worker was ended.
	ErrTimeout = errors.New("the PHP script took too long and was ended")
	// ErrClosed reports that the pool is shut down.
	ErrClosed = errors.New("the PHP pool is shut down")
)

// ScriptError reports that the script threw, called exit, or had a fatal error.
type ScriptError struct {
	Message string // PHP's own, with file, line and trace
	Fatal   bool   // whether the worker ended
}

func (e *ScriptError) Error() string { return "PHP script: " + e.Message }

// WorkerError reports that the worker that had the call died or broke the framing.
// The script may have done its work or not.
type WorkerError struct {
	PID int
	Err error
}

func (e *WorkerError) Error() string { return fmt.Sprintf("PHP worker %d: %v", e.PID, e.Err) }

// Unwrap returns Err.
func (e *WorkerError) Unwrap() error { return e.Err }

// unsentError reports that a worker ended before a byte of the call reached it.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return "the call didn't reach the worker: " + e.err.Error() }

// isUnsent reports whether an error means that nothing of a call reached its worker.
func isUnsent(err error) bool {
	if err == nil { // as mostly: it is spared the allocation
		return false
	}
	var unsent *unsentError
	return errors.As(err, &unsent)
}

// bodyError reports that reading the message failed while it was sent. It hides the
// reader's error: a deadline there isn't the call's.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the message: " + e.err.Error() }
