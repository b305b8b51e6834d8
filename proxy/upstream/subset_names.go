package upstream

import (
	"encoding/binary"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// SubsetNames returns the subsets that the hosts of an assignment are in, by a text for each, up to a number of them: one for each
// selector and each combination of the values that a host has for its keys.
func SubsetNames(cfg *config.Subsets, a *config.ClusterLoadAssignment, limit int) map[string]bool {
	names := make(map[string]bool)
	for _, e := range a.Endpoints() {
		if _, ok := usable(e); !ok || e.SubsetLabels == nil {
			continue
		}
		for i := range cfg.Selectors {
			addSubsets(names, nil, cfg.Selectors[i].Keys, cfg, e.SubsetLabels, limit)
		}
	}
	return names
}

// addSubsets adds the subsets whose text begins with prefix, and goes on with the values for keys.
func addSubsets(names map[string]bool, prefix []byte, keys []string, cfg *config.Subsets, of *config.SubsetLabels, limit int) {
	if len(names) >= limit {
		return
	}
	if len(keys) == 0 {
		names[string(prefix)] = true
		return
	}
	value, ok := of.Values[keys[0]]
	if !ok {
		return
	}
	values := []string{value}
	if list, ok := of.Lists[keys[0]]; ok && cfg.ListAsAny {
		values = list
	}
	for _, value := range values {
		b := prefix[:len(prefix):len(prefix)]
		for _, text := range []string{keys[0], value} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		addSubsets(names, b, keys[1:], cfg, of, limit)
	}
}
