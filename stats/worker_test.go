package stats

import (
	"sync"
	"testing"
)

// worker is a goroutine that runs what is posted to it, and owns a shard.
type worker struct {
	shard *Shard
	done  sync.WaitGroup

	mu      sync.Mutex
	wake    *sync.Cond
	queue   []func()
	stopped bool
}

// startWorker starts a worker that is stopped, and its shard closed, when the test ends.
func startWorker(t testing.TB, s *Store) *worker {
	w := &worker{}
	w.wake = sync.NewCond(&w.mu)
	w.shard = s.NewShard(w.post)
	w.done.Go(w.loop)
	t.Cleanup(w.stop)
	return w
}

func (w *worker) post(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	w.queue = append(w.queue, f)
	w.wake.Signal()
	return true
}

func (w *worker) loop() {
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.stopped {
			w.wake.Wait()
		}
		queue := w.queue
		w.queue = nil
		stopped := w.stopped
		w.mu.Unlock()
		for _, f := range queue {
			f()
		}
		if stopped {
			w.shard.Close()
			return
		}
	}
}

// do runs f on the worker and waits for it.
func (w *worker) do(f func(*Shard)) {
	done := make(chan struct{})
	if !w.post(func() { f(w.shard); close(done) }) {
		panic("the worker is stopped")
	}
	<-done
}

func (w *worker) stop() {
	w.mu.Lock()
	w.stopped = true
	w.wake.Signal()
	w.mu.Unlock()
	w.done.Wait()
}
