package proxy

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
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
