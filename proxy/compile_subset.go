package proxy

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// maxMatches bounds the subsets that routes want of a cluster. Each has a picker on each worker, which is made anew when
	// hosts or their health change, between two turns of the loop.
	maxMatches = 1024
	// maxCountedSubsets bounds the subsets of a cluster that its statistics know of; hosts with lists for values may be in very many.
	maxCountedSubsets = 1 << 14
)

// subsetMatches are what routes want of the hosts of clusters: by the name of the cluster, and by criteria as text, so that what stays
// the same from one generation to the next is kept as it is on the workers.
type subsetMatches map[string]map[string]*upstream.Match

// match returns what criteria come to in the cluster at an index.
func (s *Server) match(c, prev *compiled, index int, criteria *config.MetadataMatch) *upstream.Match {
	cluster, text := c.clusterNames[index], criteriaText(criteria)
	m := c.matches[cluster][text]
	if m == nil {
		m = prev.matches[cluster][text]
	}
	if m == nil {
		m = upstream.NewMatch(criteria, s.options.Workers)
	}
	c.keepMatch(cluster, text, m)
	return m
}

func (c *compiled) keepMatch(cluster, text string, m *upstream.Match) {
	if c.matches == nil {
		c.matches = make(subsetMatches)
	}
	if c.matches[cluster] == nil {
		c.matches[cluster] = make(map[string]*upstream.Match)
	}
	c.matches[cluster][text] = m
}

// keepMatches has the matches of a table that is taken over stay.
func (t *compiledTable) keepMatches(c *compiled) {
	for i, subset := range t.Subsets() {
		c.keepMatch(c.clusterNames[subset.Cluster], criteriaText(subset.Match), t.matches[i])
	}
}

// checkMatches refuses more than maxMatches for a cluster whose hosts are divided.
func (c *compiled) checkMatches() error {
	for cluster, matches := range c.matches {
		if len(matches) > maxMatches && c.snapshot.Clusters[cluster].Subsets != nil {
			return fmt.Errorf("cluster %q: routes want %d subsets of it by metadata_match, at most %d are allowed", cluster, len(matches), maxMatches)
		}
	}
	return nil
}

// installMatches has the clusters keep ready what the routes of c want of them.
func (w *worker) installMatches(c, prev *compiled) {
	for cluster := range prev.matches {
		if k := w.byName[cluster]; k != nil && c.matches[cluster] == nil {
			k.Match(nil)
		}
	}
	for cluster, matches := range c.matches {
		var list []*upstream.Match
		for _, text := range slices.Sorted(maps.Keys(matches)) {
			list = append(list, matches[text])
		}
		w.byName[cluster].Match(list)
	}
}

// criteriaText returns a text that is the same for equal criteria.
func criteriaText(m *config.MetadataMatch) string {
	b := appendLabels(nil, m.Values)
	for _, alternative := range m.Alternatives {
		b = appendLabels(b, alternative.Values)
	}
	return string(b)
}

func appendLabels(b []byte, labels map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(labels)))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		for _, text := range []string{name, labels[name]} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return b
}

// nameSubsets names the subsets that the hosts are in, and counts those that come and go.
func (k *compiledCluster) nameSubsets(old *compiledCluster) {
	var before map[string]bool
	if old != nil {
		before = old.subsets
	}
	if k.config.Subsets != nil {
		k.subsets = upstream.SubsetNames(k.config.Subsets, k.assignment, maxCountedSubsets)
	}
	for name := range k.subsets {
		if !before[name] {
			k.subsetsCreated++
		}
	}
	for name := range before {
		if !k.subsets[name] {
			k.subsetsRemoved++
		}
	}
}

// countSubsets counts the subsets that there are, and those that have come and gone.
func (k *compiledCluster) countSubsets() {
	if k.subsets == nil && k.subsetsRemoved == 0 {
		return
	}
	k.scopes.cluster.Add(stats.ClusterLBSubsetsCreated, k.subsetsCreated)
	k.scopes.cluster.Add(stats.ClusterLBSubsetsRemoved, k.subsetsRemoved)
	k.scopes.cluster.Set(stats.ClusterLBSubsetsActive, uint64(len(k.subsets)))
}
