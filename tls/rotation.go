package tls

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// filesOf returns the paths that a context is made of, each once.
func filesOf(m *material, keys []config.DataSource) (paths []string) {
	sources := slices.Clone(keys)
	for i := range m.certificates {
		c := &m.certificates[i]
		sources = append(sources, c.Chain, c.Key, c.OCSPStaple)
	}
	if m.validation != nil {
		sources = append(sources, m.validation.CA, m.validation.CRL)
	}
	for _, source := range sources {
		if source.File != "" && !slices.Contains(paths, source.File) {
			paths = append(paths, source.File)
		}
	}
	return paths
}

// Rotation watches files for changes. Its zero value has seen none.
type Rotation struct {
	settled map[string]observation // what was there when the file was taken over
	last    map[string]observation // in the look before
}

// Look returns those of paths that have changed since they were first looked at or last returned, and then held still from one
// look to the next, so that no half of a rotation is taken.
func (r *Rotation) Look(paths []string) (changed []string) {
	now := make(map[string]observation, len(paths))
	for _, path := range paths {
		now[path] = observe(path)
	}
	settled := make(map[string]observation, len(paths))
	for path, seen := range now {
		before, known := r.settled[path]
		switch {
		case !known || seen == before:
			settled[path] = seen
		case seen == r.last[path]:
			settled[path] = seen
			changed = append(changed, path)
		default:
			settled[path] = before
		}
	}
	r.settled, r.last = settled, maps.Clone(now)
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

// WatchFiles looks every ten seconds until ctx ends at the files that list names then, and calls changed with those that have
// changed and held still.
func WatchFiles(ctx context.Context, list func() []string, changed func([]string)) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var r Rotation
	r.Look(list())
	for {
		select {
		case <-ticker.C:
			if paths := r.Look(list()); len(paths) > 0 {
				changed(paths)
			}
		case <-ctx.Done():
			return
		}
	}
}
