package match

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxEntries bounds the combinations of what the chains of a listener list, each of which is an entry: a chain with a
// thousand server names and a thousand source ports would have a million.
const maxEntries = 1 << 20

// OverlapError says that the match of a chain is another's too, in whole or in part. Its text is Envoy's.
type OverlapError struct {
	Chain int // index of the chain that came too late
	text  string
}

// Error implements error.
func (e *OverlapError) Error() string { return e.text }

// Compile makes a Table of the chains, which is nil when there are none. Chains whose matches overlap, or that list too much,
// are refused; the error is then an *OverlapError for the former.
func Compile(chains []*config.FilterChain) (*Table, error) {
	if len(chains) == 0 {
		return nil, nil
	}
	t := &Table{}
	entries := 0
	for i, c := range chains {
		if entries += combinations(&c.Match); entries > maxEntries {
			return nil, fmt.Errorf("what the filter chains list has more than %d combinations", maxEntries)
		}
		if !t.add(&c.Match, chain(i)) {
			return nil, overlap(chains, i)
		}
	}
	t.sortBlocks()
	return t, nil
}

// overlap is the error for chain i, which overlaps with one before it or with itself.
func overlap(chains []*config.FilterChain, i int) error {
	for j, other := range chains[:i] {
		if reflect.DeepEqual(other.Match, chains[i].Match) {
			return &OverlapError{i, fmt.Sprintf("filter chain '%s' has the same matching rules defined as '%s'",
				nameOf(i, chains[i]), nameOf(j, other))}
		}
	}
	return &OverlapError{i, "multiple filter chains with overlapping matching rules are defined"}
}

// nameOf returns what a chain is called in an error.
func nameOf(i int, c *config.FilterChain) string {
	if c.Name == "" {
		return fmt.Sprintf("filter_chains[%d]", i)
	}
	return c.Name
}

// combinations returns the number of entries of a match, maxEntries + 1 when there are more than that.
func combinations(m *config.ChainMatch) int {
	n := 1
	for _, count := range []int{
		len(m.DestinationPrefixes), len(m.ServerNames), len(m.ApplicationProtocols), len(m.DirectSourcePrefixes),
		len(m.SourcePrefixes), len(m.SourcePorts),
	} {
		if n *= max(count, 1); n > maxEntries {
			return maxEntries + 1
		}
	}
	return n
}

// add enters chain c, and reports whether none of its entries was another's.
func (t *Table) add(m *config.ChainMatch, c chain) (fits bool) {
	t.needsLocal = t.needsLocal || m.DestinationPort != 0 || len(m.DestinationPrefixes) > 0 || m.SourceType != config.SourceAny
	fits = true
	ports := []uint16(nil)
	if m.DestinationPort != 0 {
		ports = []uint16{m.DestinationPort}
	}
	each(&t.ports, ports, func(l *addresses[*names]) {
		eachBlock(l, m.DestinationPrefixes, func(l *names) {
			l.each(m.ServerNames, func(l *transports) {
				transport := []string(nil)
				if m.TransportProtocol != "" {
					transport = []string{m.TransportProtocol}
				}
				each(l, transport, func(l *protocols) {
					each(l, m.ApplicationProtocols, func(l *addresses[*sourceTypes]) {
						eachBlock(l, m.DirectSourcePrefixes, func(l *sourceTypes) { fits = l.add(m, c) && fits })
					})
				})
			})
		})
	})
	return fits
}

func (s *sourceTypes) add(m *config.ChainMatch, c chain) (fits bool) {
	if s[m.SourceType] == nil {
		s[m.SourceType] = new(addresses[*sourcePorts])
	}
	fits = true
	eachBlock(s[m.SourceType], m.SourcePrefixes, func(l *sourcePorts) { fits = addPorts(l, m.SourcePorts, c) && fits })
	return fits
}

// addPorts enters c for the ports, or as the rest when there are none.
func addPorts(l *sourcePorts, ports []uint16, c chain) (fits bool) {
	if len(ports) == 0 {
		fits = !l.hasRest
		l.rest, l.hasRest = c, true
		return fits
	}
	fits = true
	for _, port := range ports {
		if l.entries == nil {
			l.entries = make(map[uint16]chain)
		}
		if _, taken := l.entries[port]; taken {
			fits = false
		}
		l.entries[port] = c
	}
	return fits
}

// each calls f with the level below each of the keys, or below the rest when there are none. What is not there is made.
func each[K comparable, T any](l *level[K, *T], keys []K, f func(*T)) {
	if len(keys) == 0 {
		if !l.hasRest {
			l.rest, l.hasRest = new(T), true
		}
		f(l.rest)
		return
	}
	for _, key := range keys {
		if l.entries == nil {
			l.entries = make(map[K]*T)
		}
		if l.entries[key] == nil {
			l.entries[key] = new(T)
		}
		f(l.entries[key])
	}
}

// eachBlock is each for address blocks.
func eachBlock[T any](l *addresses[*T], blocks []netip.Prefix, f func(*T)) {
	if len(blocks) == 0 {
		if !l.hasRest {
			l.rest, l.hasRest = new(T), true
		}
		f(l.rest)
		return
	}
	for _, block := range blocks {
		if l.blocks == nil {
			l.blocks = make(map[netip.Prefix]*T)
		}
		block = block.Masked()
		if l.blocks[block] == nil {
			l.blocks[block] = new(T)
			l.lengths[family(block.Addr())] = append(l.lengths[family(block.Addr())], block.Bits())
		}
		f(l.blocks[block])
	}
}

// each is the function each for server names.
func (n *names) each(serverNames []string, f func(*transports)) {
	if len(serverNames) == 0 {
		each(&n.exact, nil, f)
		return
	}
	for _, name := range serverNames {
		suffix, wild := strings.CutPrefix(name, "*")
		if !wild {
			each(&n.exact, []string{name}, f)
			continue
		}
		if n.suffixes == nil {
			n.suffixes = make(nameSuffixes)
		}
		if n.suffixes[suffix] == nil {
			n.suffixes[suffix] = new(transports)
		}
		f(n.suffixes[suffix])
	}
}

// sortBlocks brings the lengths of the address blocks of all levels into order.
func (t *Table) sortBlocks() {
	eachBelow(&t.ports, func(l *addresses[*names]) {
		sortLengths(l, func(n *names) {
			for _, s := range n.suffixes {
				sortTransports(s)
			}
			eachBelow(&n.exact, sortTransports)
		})
	})
}

func sortTransports(l *transports) {
	eachBelow(l, func(l *protocols) {
		eachBelow(l, func(l *addresses[*sourceTypes]) {
			sortLengths(l, func(s *sourceTypes) {
				for _, l := range s {
					if l != nil {
						sortLengths(l, func(*sourcePorts) {})
					}
				}
			})
		})
	})
}

// eachBelow calls f with everything below a level.
func eachBelow[K comparable, T any](l *level[K, *T], f func(*T)) {
	for _, t := range l.entries {
		f(t)
	}
	if l.hasRest {
		f(l.rest)
	}
}

// sortLengths brings the lengths of a level into order, and calls f with everything below it.
func sortLengths[T any](l *addresses[*T], f func(*T)) {
	for i, lengths := range l.lengths {
		slices.Sort(lengths)
		lengths = slices.Compact(lengths)
		slices.Reverse(lengths)
		l.lengths[i] = lengths
	}
	for _, t := range l.blocks {
		f(t)
	}
	if l.hasRest {
		f(l.rest)
	}
}
