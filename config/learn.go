package config

import "maps"

// learn sets what is known of the clusters of s, which follows before with the change d. One that takes the place of another of
// its name, and that nothing was found of yet, goes on with what was known of that one.
func (s *Snapshot) learn(before *Snapshot, d *Delta) {
	var replaced map[*Cluster]*Cluster // new to old
	moved := d.Clusters.Any() || d.Warming.Any()
	if moved {
		replaced = s.replaced(before)
	}
	if moved || len(d.Resolved) > 0 {
		s.Resolved = known(s, before.Resolved, d.Resolved)
		inherit(s.Resolved, before.Resolved, replaced, func(c, old *Cluster) bool { return c.Type == old.Type })
	}
	if moved || len(d.Health) > 0 {
		s.Health = known(s, before.Health, d.Health)
		inherit(s.Health, before.Health, replaced, func(c, _ *Cluster) bool { return c.HealthCheck != nil })
	}
}

// replaced returns the clusters of s that took the place of another of before.
func (s *Snapshot) replaced(before *Snapshot) map[*Cluster]*Cluster {
	found := make(map[*Cluster]*Cluster)
	if len(before.Resolved)+len(before.Health) == 0 {
		return found
	}
	for name, c := range s.Clusters {
		if old := before.Clusters[name]; old != nil && old != c {
			found[c] = old
		}
	}
	return found
}

// has reports whether c is served or warms.
func (s *Snapshot) has(c *Cluster) bool { return s.Clusters[c.Name] == c || s.Warming[c.Name] == c }

// known returns what is known of the clusters of s after news.
func known[T any](s *Snapshot, before, news map[*Cluster]*T) map[*Cluster]*T {
	next := make(map[*Cluster]*T, len(before)+len(news))
	maps.Copy(next, before)
	maps.Copy(next, news)
	maps.DeleteFunc(next, func(c *Cluster, v *T) bool { return v == nil || !s.has(c) })
	return next
}

// inherit adds what was known before of those that were replaced by clusters that are alike.
func inherit[T any](next, before map[*Cluster]*T, replaced map[*Cluster]*Cluster, alike func(c, old *Cluster) bool) {
	for c, old := range replaced {
		if next[c] == nil && before[old] != nil && alike(c, old) {
			next[c] = before[old]
		}
	}
}
