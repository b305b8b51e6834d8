package proxy

import (
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
)

// checkSteering finds out whether the kernel lets connections be steered to the worker that has the fewest. Where it does
// not, they go by its hash, which serves all the same. The gauge listener_manager.accept_steering says which it is.
func (s *Server) checkSteering() {
	gauge := s.stats.Gauge("listener_manager.accept_steering")
	gauge.Set(0)
	if s.options.NoAcceptSteering {
		return
	}
	if err := listener.CheckSteering(s.options.Workers); err != nil {
		s.log.Info("connections are spread over the workers by the kernel's hash, not by how many each has", zap.Error(err))
		return
	}
	s.steers = true
	gauge.Set(1)
}

// settle has the files of Unix domain sockets get the modes that were asked for. It comes when nothing can fail any more: the listeners
// before may have had the same files.
func (s *Server) settle(c *compiled) {
	for name, l := range c.listeners {
		for _, sockets := range l.sockets {
			if err := sockets.Settle(); err != nil {
				s.log.Warn("the file of a listener's socket keeps its mode", zap.String("listener", name), zap.Error(err))
			}
		}
	}
}

// steer has the connections of listeners with new sockets steered. It comes when nothing can fail any more: in the kernel it
// takes the place of what was done for older sockets on the same address.
func (s *Server) steer(c *compiled) {
	if !s.steers {
		return
	}
	for name, l := range c.listeners {
		for _, sockets := range l.sockets {
			if err := sockets.Steer(); err != nil {
				s.log.Warn("connections of a listener are spread by the kernel's hash", zap.String("listener", name), zap.Error(err))
			}
		}
	}
}
