package stats

import (
	"sync"
	"sync/atomic"
)

// passBudget is how many words one step of a pass copies before it gives the worker's thread back: 128 KiB, some 20 µs.
const passBudget = 16 << 10

// blockCost is what visiting a block costs beside the words that are copied of it, counted in words.
const blockCost = 32

// Shard is what one worker thread has counted. Block and Close may be called on that thread only.
type Shard struct {
	store *Store
	post  func(func()) bool

	// Owned by the worker's thread.
	byScope map[*Scope]*Block
	blocks  []*Block

	mu sync.Mutex // guards mirrors and their values
	// mirrors are the last copies of the blocks, which is what readers see.
	mirrors []*mirror

	pending *pass         // the pass that was posted last; guarded by Store.gathering
	gone    chan struct{} // closed by Close
	closed  atomic.Bool
}

// mirror is the copy of a block.
type mirror struct {
	cells
	scope *Scope
	next  *mirror // the mirror of another shard for the same scope, while a gather is under way
}

// Block is the values of one scope in one shard. Its methods may be called on the worker's thread only. It stays valid
// until the last Release of its scope; after that its writes are lost.
type Block struct {
	cells
	schema *Schema
	scope  *Scope
	mirror *mirror
}

// Block returns the block of sc, which is made at first use. The caller keeps the result instead of asking per request.
func (sh *Shard) Block(sc *Scope) *Block {
	b := sh.byScope[sc]
	if b == nil {
		b = &Block{cells: newCells(sc.schema), schema: sc.schema, scope: sc}
		sh.byScope[sc] = b
		sh.blocks = append(sh.blocks, b)
	}
	return b
}

// Close hands what was counted over to the store, where it goes on counting towards totals; gauges end at zero. The
// shard's blocks must not be used afterwards.
func (sh *Shard) Close() {
	if sh.closed.Swap(true) {
		return
	}
	sh.mu.Lock()
	for i := 0; i < len(sh.blocks); {
		if b := sh.blocks[i]; !sh.drop(i) {
			sh.copyBlock(b, passAll)
			b.mirror.resetGauges(b.schema)
			i++
		}
	}
	sh.blocks, sh.byScope = nil, nil
	sh.mu.Unlock()
	close(sh.gone)
}

// Inc adds one to counter or gauge i.
func (b *Block) Inc(i int) { b.values[i]++ }

// Add adds n to counter or gauge i.
func (b *Block) Add(i int, n uint64) { b.values[i] += n }

// Dec takes one from gauge i. What one worker adds another may take away: the sum is what is shown.
func (b *Block) Dec(i int) { b.values[i] = (b.values[i] - 1) | touched }

// Sub takes n from gauge i.
func (b *Block) Sub(i int, n uint64) { b.values[i] = (b.values[i] - n) | touched }

// Set sets gauge i to v, which is less than 2^62.
func (b *Block) Set(i int, v uint64) { b.values[i] = v | touched }

// Record adds v to histogram i. Times are in microseconds.
func (b *Block) Record(i int, v uint64) {
	h := b.histograms[b.schema.ordinals[i]]
	if h == nil {
		h = new(histogram)
		b.histograms[b.schema.ordinals[i]] = h
	}
	h.record(v)
}

// IncStatus counts a response in the first status statistic of the schema.
func (b *Block) IncStatus(status int) {
	if s := b.statuses[0]; s != nil {
		s.inc(status)
		return
	}
	b.IncStatusOf(b.schema.statuses[0], status)
}

// IncStatusOf counts a response in status statistic i.
func (b *Block) IncStatusOf(i, status int) {
	s := b.statuses[b.schema.ordinals[i]]
	if s == nil {
		s = new(statusCounts)
		b.statuses[b.schema.ordinals[i]] = s
	}
	s.inc(status)
}

// passKind says what a pass over the blocks of a shard does.
type passKind uint8

const (
	passHistograms passKind = iota // copy histograms
	passAll                        // copy everything
	passReset                      // set counters to zero
)

// pass is one walk over the blocks of a shard, on the worker's thread, in steps of bounded work.
type pass struct {
	kind passKind
	next int
	step func()
	done chan struct{} // closed when the pass has ended, completed or not
}

// start posts a pass. It must not be called while another is under way. The caller holds Store.gathering.
func (sh *Shard) start(kind passKind) *pass {
	p := &pass{kind: kind, done: make(chan struct{})}
	p.step = func() { sh.run(p) }
	if !sh.post(p.step) {
		close(p.done)
	}
	return p
}

// run does a step of p. It never waits: when a reader is reading the mirrors it has given up on p, and p ends.
func (sh *Shard) run(p *pass) {
	if sh.closed.Load() || !sh.mu.TryLock() {
		close(p.done)
		return
	}
	for budget := passBudget; budget > 0 && p.next < len(sh.blocks); {
		b := sh.blocks[p.next]
		if sh.drop(p.next) {
			budget -= blockCost
			continue
		}
		budget -= blockCost + sh.copyBlock(b, p.kind)
		p.next++
	}
	more := p.next < len(sh.blocks)
	sh.mu.Unlock()
	if !more || !sh.post(p.step) {
		close(p.done)
	}
}

// drop forgets block i when its scope was released, and reports whether it did. Another block takes its place.
func (sh *Shard) drop(i int) bool {
	b := sh.blocks[i]
	if !b.scope.dead.Load() {
		return false
	}
	last := len(sh.blocks) - 1
	sh.blocks[i] = sh.blocks[last]
	sh.blocks[last] = nil
	sh.blocks = sh.blocks[:last]
	delete(sh.byScope, b.scope)
	return true
}

// copyBlock does for one block what a pass of this kind does, and returns how many words it touched. The caller holds
// sh.mu.
func (sh *Shard) copyBlock(b *Block, kind passKind) (words int) {
	if kind == passReset {
		b.resetCounters(b.schema)
		return len(b.values)
	}
	if b.mirror == nil {
		b.mirror = &mirror{cells: newCells(b.schema), scope: b.scope}
		sh.mirrors = append(sh.mirrors, b.mirror)
	}
	words = b.mirror.copyHistograms(&b.cells)
	if kind == passAll {
		words += b.mirror.copyValues(&b.cells)
	}
	return words
}
