package proxy

// BreakListeners has every exchange that is under way panic as soon as it wants to send more of its response, until restore
// is called.
func (s *Server) BreakListeners() (restore func()) {
	kept := make(map[*listenerState]*compiledListener)
	s.onEveryWorker(func(w *worker) {
		for _, l := range w.listeners {
			kept[l], l.compiled = l.compiled, nil
		}
	})
	return func() {
		s.onEveryWorker(func(w *worker) {
			for _, l := range w.listeners {
				if c := kept[l]; c != nil {
					l.compiled = c
				}
			}
		})
	}
}
