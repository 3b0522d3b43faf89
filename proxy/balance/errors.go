package balance

import (
	"fmt"
	"time"
)

// DownError reports that no upstream may be tried now. Nothing was sent.
type DownError struct {
	RetryAfter time.Duration // until one may be; more than 0
}

func (e *DownError) Error() string {
	return fmt.Sprintf("no upstream is up; one is tried in %v", e.RetryAfter.Round(time.Millisecond))
}

// UnreachableError reports that nothing could be sent to any upstream that was
// tried: mostly none could be dialled. A response that was cut off isn't one.
type UnreachableError struct {
	Err error // of the last try
}

func (e *UnreachableError) Error() string { return "no upstream was reached: " + e.Err.Error() }

// Unwrap returns the error of the last try.
func (e *UnreachableError) Unwrap() error { return e.Err }
