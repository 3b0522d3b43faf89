// Package cores keeps Go's scheduler at as few processors as the load needs. For
// each goroutine that can run, the scheduler wakes an idle processor, which looks for
// work and mostly finds that it is done: with two processors a small request costs a
// fifth more than with one.
package cores

import (
	"math"
	"runtime"
)

var count = runtime.GOMAXPROCS(0) // before anything changes it

// Count returns how many processors the program may use, by the machine, the limit of
// its container or the environment variable GOMAXPROCS. It doesn't change.
func Count() int { return count }

const (
	full  = 0.95 // of a processor; what is used beyond it needs another one
	spare = 0.7  // of a processor; what is used up to it fits
	calm  = 10   // looks in turn at which fewer processors sufficed, until there are fewer
)

// governor decides how many processors the scheduler uses.
type governor struct {
	count  int // at most
	active int // at the moment

	fits  int // the most that one of the last looks needed
	looks int // at which fewer than active sufficed
}

// next returns how many processors to use from now on. used is how many were busy
// since the last look, late whether goroutines waited too long for one.
func (g *governor) next(used float64, late bool) int {
	fits := max(1, int(math.Ceil(used/spare)))
	busy := late || used > full*float64(g.active)
	if busy {
		g.active = min(2*g.active, g.count)
	}
	if busy || fits >= g.active {
		g.fits, g.looks = 0, 0
		return g.active
	}
	g.fits = max(g.fits, fits)
	if g.looks++; g.looks == calm {
		g.active, g.fits, g.looks = g.fits, 0, 0
	}
	return g.active
}
