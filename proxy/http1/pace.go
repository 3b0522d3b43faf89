package http1

import "time"

// Pace is how slowly a client may send a body.
type Pace struct {
	Timeout time.Duration // how long the body may stand still
	MinRate int64         // bytes a second on average, once Timeout has passed; 0: any
}

// Patience returns how long the next bytes may take, after received bytes for
// which waited was spent waiting. It may be negative.
func (p Pace) Patience(received int64, waited time.Duration) time.Duration {
	if p.MinRate == 0 {
		return p.Timeout
	}
	earned := float64(received) / float64(p.MinRate) // seconds; perhaps too many for a Duration
	if left := earned - waited.Seconds(); left < 0 {
		return p.Timeout + time.Duration(left*float64(time.Second))
	}
	return p.Timeout
}
