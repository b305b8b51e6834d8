package tls

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// File is a file that a context is made of, and what was in it just before it was read: what changes while the context is made
// is seen as a change, which costs no more than making it again.
type File struct {
	Path string
	seen observation
}

// filesOf returns the files that a context is to be made of, each once.
func filesOf(m *material, keys []config.DataSource) (files []File) {
	sources := slices.Clone(keys)
	for i := range m.certificates {
		c := &m.certificates[i]
		sources = append(sources, c.Chain, c.Key, c.Password, c.OCSPStaple)
	}
	if m.validation != nil {
		sources = append(sources, m.validation.CA, m.validation.CRL)
		for _, domain := range m.validation.SPIFFE {
			sources = append(sources, domain.Bundle)
		}
	}
	for _, source := range sources {
		if path := source.File; path != "" && !slices.ContainsFunc(files, func(f File) bool { return f.Path == path }) {
			files = append(files, File{path, observe(path)})
		}
	}
	return files
}

// Rotation watches files for changes. Its zero value has seen none.
type Rotation struct {
	last map[string]observation // in the look before
	told map[string]observation // those that were returned, until contexts are made of them
}

// Look returns the paths of those files that are not what the contexts were made of, and have held still from one look to the
// next, so that no half of a rotation is taken. It returns a path once for what is there, be it of use or not.
func (r *Rotation) Look(made []File) (changed []string) {
	now, told := make(map[string]observation), make(map[string]observation)
	for _, file := range made {
		path := file.Path
		seen, looked := now[path]
		if !looked {
			seen = observe(path)
			now[path] = seen
		}
		if _, done := told[path]; done || seen == file.seen {
			continue
		}
		switch seen {
		case r.told[path]:
			told[path] = seen
		case r.last[path]:
			told[path] = seen
			changed = append(changed, path)
		}
	}
	r.last, r.told = now, told
	slices.Sort(changed)
	return changed
}

// observe returns what is in a file, or why it cannot be read.
func observe(path string) observation {
	data, err := readFile(path)
	if err != nil {
		return observation{failure: err.Error()}
	}
	return observation{identity: sha256.Sum256(data)}
}

// WatchFiles looks every ten seconds until ctx ends at the files that contexts are made of then, as made lists them, and calls
// changed with the paths of those that have changed and held still.
func WatchFiles(ctx context.Context, made func() []File, changed func([]string)) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var r Rotation
	r.Look(made())
	for {
		select {
		case <-ticker.C:
			if paths := r.Look(made()); len(paths) > 0 {
				changed(paths)
			}
		case <-ctx.Done():
			return
		}
	}
}
