package bench

import (
	"fmt"
	"io"
	"time"
)

// progress tells somebody who waits what came of each round, how many there are and how long the rest will take if it goes on
// as it has until now.
type progress struct {
	out     io.Writer
	now     func() time.Time
	started time.Time
	done    int
	total   int
}

func newProgress(out io.Writer, total int, now func() time.Time) *progress {
	return &progress{out: out, now: now, started: now(), total: total}
}

// say writes a line that is about no round.
func (p *progress) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// round writes a line about a round that is over.
func (p *progress) round(format string, args ...any) {
	p.done++
	each := p.now().Sub(p.started) / time.Duration(p.done)
	left := (each * time.Duration(p.total-p.done)).Round(time.Second)
	p.say("[%d/%d, %v left] %s", p.done, p.total, left, fmt.Sprintf(format, args...))
}

// skip takes rounds that will not be measured out of those that there are.
func (p *progress) skip(rounds int) { p.total -= rounds }
