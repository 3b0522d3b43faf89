package php

import (
	"errors"
	"fmt"
)

// Errors of Pool.Do, besides *ScriptError, *WorkerError, the context's error,
// and an error of the answer's writer.
var (
	// ErrQueueFull says that as many calls wait for a worker as may.
	ErrQueueFull = errors.New("all PHP workers are busy, and the queue is full")
	// ErrQueueTimeout says that no worker became free in time.
	ErrQueueTimeout = errors.New("no PHP worker became free in time")
	// ErrTimeout says that the script took too long. It was ended.
	ErrTimeout = errors.New("the PHP script took too long and was ended")
	// ErrClosed says that the pool is shut down.
	ErrClosed = errors.New("the PHP pool is shut down")
)

// ScriptError says that the script threw, called exit, or met a fatal error.
type ScriptError struct {
	Message string // PHP's own, with file, line and trace
	Fatal   bool   // whether the worker ended by it
}

func (e *ScriptError) Error() string { return "PHP script: " + e.Message }

// WorkerError says that the worker that had the call died, or wrote what isn't
// a frame. The script may have done its work or not.
type WorkerError struct {
	PID int
	Err error
}

func (e *WorkerError) Error() string { return fmt.Sprintf("PHP worker %d: %v", e.PID, e.Err) }

// Unwrap returns the reason.
func (e *WorkerError) Unwrap() error { return e.Err }

// unsentError says that a worker was gone before a byte of the call reached it.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return "the call didn't reach the worker: " + e.err.Error() }

// bodyError says that a message couldn't be read while it was being sent. It
// hides what the reader's error is: a deadline there isn't the call's.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the message: " + e.err.Error() }
