package tls

import (
	"context"
	"time"
)

// Watch looks at the files every ten seconds until ctx ends, and takes them over when they have changed and then held still
// for one interval, so that no half of a rotation is seen. report is called on this goroutine: with nil when new files are
// in force, and with the reason when files cannot be used, once for as long as the reason stays the same. Those before
// stay in force then.
func (s *ServerContext) Watch(ctx context.Context, report func(error)) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	w := watcher{context: s, report: report}
	for {
		select {
		case <-ticker.C:
			w.look()
		case <-ctx.Done():
			return
		}
	}
}

// watcher is what Watch remembers from one look to the next.
type watcher struct {
	context *ServerContext
	report  func(error)
	last    observation // of the look before
	refused string      // the reason that was reported last
}

// observation is what a look at the files saw: what was in them, or why they could not be read.
type observation struct {
	identity identity
	failure  string
}

func (w *watcher) look() {
	s := w.context
	read, err := s.files.read()
	var seen observation
	if err != nil {
		seen.failure = err.Error()
	} else {
		seen.identity = read.identity()
	}
	held := seen == w.last
	w.last = seen
	switch {
	case err == nil && seen.identity == s.current.Load().identity:
		w.refused = ""
		return
	case !held:
		return
	}
	var next *generation
	if err == nil {
		next, err = s.build(read)
	}
	if err != nil {
		w.refuse(err)
		return
	}
	s.current.Store(next)
	w.refused = ""
	w.report(nil)
}

func (w *watcher) refuse(err error) {
	if reason := err.Error(); reason != w.refused {
		w.refused = reason
		w.report(err)
	}
}
