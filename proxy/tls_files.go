package proxy

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// contexts calls f with every TLS context that new connections get.
func (c *compiled) contexts(f func(tlsContext)) {
	for _, cluster := range c.clusters {
		for _, k := range cluster.contexts {
			f(k.tls)
		}
	}
	for _, l := range c.listeners {
		for chain := range l.all() {
			if chain.tls != nil {
				f(chain.tls)
			}
		}
	}
}

// tlsContext is a context of either side.
type tlsContext interface {
	Files() []tls.File
	Certificates(now time.Time) tls.Certificates
	Expirations() []tls.Expiration
	DaysUntilFirstExpiring(now time.Time) uint64
}

// tlsFiles returns the files that contexts are made of.
func (s *Server) tlsFiles() (files []tls.File) {
	s.serving().contexts(func(c tlsContext) { files = append(files, c.Files()...) })
	return files
}

// ReloadTLS makes the TLS contexts anew that one of the files is a part of. One that cannot be made stays as it is, and the
// log says why.
func (s *Server) ReloadTLS(files []string) {
	err := s.store.Update(config.SourceFile, func(*config.Snapshot) (config.Delta, error) {
		s.changedFiles = files
		return config.Delta{}, nil
	})
	if err != nil {
		s.log.Error("TLS files that have changed could not be taken over", zap.Strings("files", files), zap.Error(err))
	}
}

// contextAfter returns the context that follows on before: before itself where nothing of it has changed, which same tells of all
// but files. What make makes of changed files is not needed for that: where it fails, before stays.
func contextAfter[C tlsContext](s *Server, before C, same bool, make func() (C, error)) (C, error) {
	if !same {
		return make()
	}
	if !s.stale(before) {
		return before, nil
	}
	next, err := make()
	if err != nil {
		s.log.Error("TLS files have changed and cannot be used, those of before stay in force", zap.Error(err))
		return before, nil
	}
	s.log.Info("TLS files are taken over", zap.Strings("files", paths(before)))
	return next, nil
}

// stale reports whether one of the files of a context has changed.
func (s *Server) stale(c tlsContext) bool {
	return slices.ContainsFunc(c.Files(), func(f tls.File) bool { return slices.Contains(s.changedFiles, f.Path) })
}

func paths(c tlsContext) (out []string) {
	for _, file := range c.Files() {
		out = append(out, file.Path)
	}
	return out
}

// Certificates returns the certificates of every TLS context of traffic.
func (s *Server) Certificates() (all []tls.Certificates) {
	now := time.Now()
	s.serving().contexts(func(c tlsContext) { all = append(all, c.Certificates(now)) })
	return all
}

// DaysUntilFirstCertificateExpires returns the least days that a certificate of traffic has left, tls.NoCertificate without any.
func (s *Server) DaysUntilFirstCertificateExpires() uint64 {
	days, now := uint64(tls.NoCertificate), time.Now()
	s.serving().contexts(func(c tlsContext) { days = min(days, c.DaysUntilFirstExpiring(now)) })
	return days
}

// SecondsUntilFirstStapleExpires returns for how long the OCSP responses are good that clients are shown, 0 where there are
// none or one is out of date.
func (s *Server) SecondsUntilFirstStapleExpires() uint64 {
	var first time.Time
	for _, l := range s.serving().listeners {
		for chain := range l.all() {
			if chain.tls == nil {
				continue
			}
			if at := chain.tls.FirstStapleExpiring(); !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	if first.IsZero() {
		return 0
	}
	return uint64(max(0, time.Until(first)) / time.Second)
}

// collectCertificates gives the gauges of when certificates expire. Filter chains of a listener share its names: of certificates
// of one name the first to expire counts.
func (s *Server) collectCertificates(emit func(stats.Sample)) {
	first := make(map[string]time.Time)
	note := func(scope *stats.Scope, c tlsContext) {
		for _, e := range c.Expirations() {
			name := scope.Prefix() + "certificate." + e.Name + ".expiration_unix_time_seconds"
			if at, known := first[name]; !known || e.At.Before(at) {
				first[name] = e.At
			}
		}
	}
	serving := s.serving()
	for i := range serving.clusters {
		for _, k := range serving.clusters[i].contexts {
			note(serving.clusters[i].scopes.ssl, k.tls)
		}
	}
	for _, l := range serving.listeners {
		for chain := range l.all() {
			if chain.tls != nil {
				note(chain.sslScope, chain.tls)
			}
		}
	}
	for name, at := range first {
		emit(stats.Sample{Name: name, Kind: stats.Gauge, Value: uint64(max(0, at.Unix())), Used: true})
	}
}
