package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// insertion decides which fields are inserted into the dynamic table: those that were sent as literals a short while ago, as
// long as that pays.
//
// To insert costs as much as ten literals, and each entry displaces another. With more fields that are repeated than fit the
// table, as on a connection to an origin that carries the requests of many clients, entries would be evicted before they
// were of use. So doubt grows with each entry that was hardly used when it was evicted, and the more doubt, the fewer are
// inserted. Those live longer, are used, and doubt shrinks.
type insertion struct {
	recall *recall // nil until something is looked for in it
	doubt  uint8   // 0 to maxDoubt
	turn   uint8   // counts fields that could be inserted
}

const (
	// enoughHits is how often an entry must have been found for its insertion to have paid.
	enoughHits = 4

	// maxDoubt is where doubt ends. One field in 2^(doubt/doubtStep) is inserted, so at least one in 32: connections begin to
	// carry other things.
	maxDoubt  = 20
	doubtStep = 4
)

// worthwhile reports whether a field that is not in the table should be inserted.
func (n *insertion) worthwhile(f *message.Field, p Pseudo) bool {
	if n.recall == nil {
		n.recall = new(recall)
	}
	if !n.recall.seen(fullHash(f.Value, nameSeed(f, p))) {
		return false
	}
	n.turn++
	return n.turn&(1<<(n.doubt/doubtStep)-1) == 0
}

// evicted takes note of how often an entry was found before it was evicted.
func (n *insertion) evicted(hits uint8) {
	switch {
	case hits >= enoughHits:
		n.doubt -= min(n.doubt, 1)
	case n.doubt < maxDoubt:
		n.doubt++
	}
}

// recall is a short memory of the fields that were sent as literals, by their hashes: sets of recallWays, newest first. A
// message has some five literals once its connection is warm, so a field is remembered for about twenty messages.
//
// Sets of one would not do: two fields of every message that fall together would make each other forgotten for ever.
type recall [recallSets][recallWays]uint32

const (
	recallSets = 32
	recallWays = 4
)

// seen reports whether a hash is remembered, and remembers it.
func (r *recall) seen(hash uint32) bool {
	set := &r[hash%recallSets]
	if set[0] == hash || set[1] == hash || set[2] == hash || set[3] == hash {
		return true
	}
	*set = [recallWays]uint32{hash, set[0], set[1], set[2]}
	return false
}
