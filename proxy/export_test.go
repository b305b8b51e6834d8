package proxy

// BreakListeners has every exchange that is under way panic as soon as it wants to send more of its response, until restore
// is called.
func (s *Server) BreakListeners() (restore func()) {
	kept := make(map[*chainState]*compiledChain)
	s.onEveryWorker(func(w *worker) {
		for _, c := range w.chains {
			kept[c], c.compiled = c.compiled, nil
		}
	})
	return func() {
		s.onEveryWorker(func(w *worker) {
			for _, c := range w.chains {
				if compiled := kept[c]; compiled != nil {
					c.compiled = compiled
				}
			}
		})
	}
}
