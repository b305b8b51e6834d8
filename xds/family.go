package xds

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// kind is what a family must know of one of its two resource types.
type kind[T any] struct {
	noun    string // "cluster", as it stands in messages
	decode  func(proto.Message) (T, error)
	changes func(*config.Delta) *config.Changes[T]
}

// family is a pair of resource types: parents, of which the server tells all that there are (clusters, listeners), and children,
// which are asked for by name because parents refer to them (endpoints, route configurations).
type family[P, C any] struct {
	parent kind[P]
	child  kind[C]
	// needs returns the children that a parent waits for.
	needs func(P) []need
	// subscribe asks for children instead of those before; nil without a control plane.
	subscribe func(children []string)
	store     *config.Store
	log       *zap.Logger

	static      map[string]P // of the bootstrap; never changed by the server
	staticSince time.Time    // when the children of static parents were first asked for, zero before
	parents     map[string]*parent[P]
	children    map[string]*child[C]

	answered      bool   // a response with parents came
	version       string // of the response with parents that was accepted last
	fetchTimeouts uint64 // of the parents' own subscription, 0 or 1

	added, modified, removed uint64
}

// need is a child that a parent waits for.
type need struct {
	child      string
	patience   time.Duration // how long it is waited for; 0 is for ever
	statPrefix string        // of the statistics of its subscription
}

// deadline returns when a parent that waits since then gives up, zero for never.
func (n *need) deadline(since time.Time) time.Time {
	if n.patience == 0 {
		return time.Time{}
	}
	return since.Add(n.patience)
}

// overdue reports whether a parent that waits since then has waited long enough.
func (n *need) overdue(since, now time.Time) bool {
	return n.patience > 0 && !now.Before(since.Add(n.patience))
}

// parent is what is known under one name. At least one of its fields is set.
type parent[P any] struct {
	active  *revision[P] // in force
	warming *revision[P] // waits for its child
	failure *failure     // the last attempt, when it was refused
}

// child is a resource that was asked for.
type child[C any] struct {
	held    *revision[C] // nil until it came
	absent  bool         // the server has told that there is none; what is held stays
	failure *failure

	stats         ads.Stats
	fetchTimeouts uint64
	reloads       uint64 // changes that were taken
}

// revision is one state of a resource.
type revision[T any] struct {
	value   T
	packed  *anypb.Any // as it was received, read-only
	version string
	updated time.Time // or, while it warms, since when
}

// failure is a refused attempt to change a resource.
type failure struct {
	packed  *anypb.Any
	version string
	when    time.Time
	why     string
}

// rejection tells in Envoy's words which resources of a response were refused, and why.
type rejection struct {
	action, noun string
	faults       []string
}

func (r *rejection) Error() string {
	return "Error " + r.action + " " + r.noun + "(s) " + strings.Join(r.faults, "\n")
}

// same reports whether r holds the resource packed.
func (r *revision[T]) same(packed *anypb.Any) bool {
	return r != nil && r.packed.GetTypeUrl() == packed.GetTypeUrl() && bytes.Equal(r.packed.GetValue(), packed.GetValue())
}

// applyParents makes the response r the set of parents, or changes the set as it says. The error tells what was refused; all
// else took effect.
func (f *family[P, C]) applyParents(r ads.Response, now time.Time) error {
	faults := f.warmAll(r, now)
	named := make(map[string]bool, len(r.Resources))
	for _, res := range r.Resources {
		named[res.Name] = true
	}
	gone := f.gone(&r, named)
	var inForce []string
	for _, name := range gone {
		if f.parents[name].active != nil {
			inForce = append(inForce, name)
		}
	}
	refused, err := f.commit(f.removal(inForce), f.ready(nil, now), now)
	if err != nil {
		faults = append(faults, fmt.Sprintf("removal of %s: %v", strings.Join(inForce, ", "), err))
	} else {
		for _, name := range gone {
			if p := f.parents[name]; p.active != nil || p.warming != nil {
				f.removed++
			}
			delete(f.parents, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		if named[name] {
			faults = append(faults, fmt.Sprintf("%s: %v", name, refused[name]))
		}
	}
	f.resubscribe()
	f.answered = true
	if len(faults) > 0 {
		return &rejection{"adding/updating", f.parent.noun, faults}
	}
	f.version = r.Version
	return nil
}

// gone returns the parents that r removes, of which named has what it sets.
func (f *family[P, C]) gone(r *ads.Response, named map[string]bool) []string {
	var gone []string
	for _, name := range r.Removed {
		if f.parents[name] != nil {
			gone = append(gone, name)
		}
	}
	if r.Incremental {
		return gone
	}
	for name := range f.parents {
		if !named[name] {
			gone = append(gone, name)
		}
	}
	return gone
}

// removal is the part of a change that takes parents out of force, nil when there are none.
func (f *family[P, C]) removal(names []string) func(*config.Delta) {
	if len(names) == 0 {
		return nil
	}
	return func(d *config.Delta) { f.parent.changes(d).Remove = names }
}

// warmAll decodes the resources of r that are new or changed and begins to warm them. It returns the faults found.
func (f *family[P, C]) warmAll(r ads.Response, now time.Time) (faults []string) {
	for _, res := range r.Resources {
		if _, ok := f.static[res.Name]; ok {
			f.log.Info("resource of the control plane is ignored: the bootstrap has one of its name",
				zap.String("kind", f.parent.noun), zap.String("name", res.Name))
			continue
		}
		p := f.parents[res.Name]
		if p.settled(res.Packed) {
			continue
		}
		value, err := f.parent.decode(res.Message)
		if p == nil {
			p = &parent[P]{}
			f.parents[res.Name] = p
		}
		if err != nil {
			p.failure = &failure{packed: res.Packed, version: res.Version, when: now, why: err.Error()}
			faults = append(faults, fmt.Sprintf("%s: %v", res.Name, err))
			continue
		}
		f.warm(p, &revision[P]{value: value, packed: res.Packed, version: res.Version, updated: now})
	}
	return faults
}

// settled reports whether packed needs no work because it is in force or warming already. A different one that was warming
// is given up when packed is what is in force.
func (p *parent[P]) settled(packed *anypb.Any) bool {
	switch {
	case p == nil:
		return false
	case p.warming.same(packed):
		p.failure = nil
		return true
	case p.active.same(packed):
		p.warming, p.failure = nil, nil
		return true
	}
	return false
}

func (f *family[P, C]) warm(p *parent[P], next *revision[P]) {
	if p.active == nil && p.warming == nil {
		f.added++
	} else {
		f.modified++
	}
	p.warming, p.failure = next, nil
}

// ready returns the names of the parents that warm and need not wait longer, sorted. The children arriving count as held.
func (f *family[P, C]) ready(arriving map[string]*revision[C], now time.Time) []string {
	var names []string
	for name, p := range f.parents {
		if p.warming == nil {
			continue
		}
		waits := slices.ContainsFunc(f.needs(p.warming.value), func(n need) bool {
			return arriving[n.child] == nil && !f.known(n.child) && !n.overdue(p.warming.updated, now)
		})
		if !waits {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// known reports whether there is nothing to wait for: a child is held, or the server has told that there is none.
func (f *family[P, C]) known(name string) bool {
	c := f.children[name]
	return c != nil && (c.held != nil || c.absent)
}

// applyChildren takes the resources of r that were asked for. The error tells what was refused; all else took effect.
func (f *family[P, C]) applyChildren(r ads.Response, now time.Time) error {
	arriving, faults := f.decodeChildren(r, now)
	for _, name := range r.Removed {
		if c := f.children[name]; c != nil {
			c.absent = true
		}
	}
	var base func(*config.Delta)
	if len(arriving) > 0 {
		base = func(d *config.Delta) {
			set := make(map[string]C, len(arriving))
			for name, next := range arriving {
				set[name] = next.value
			}
			f.child.changes(d).Set = set
		}
	}
	_, err := f.commit(base, f.ready(arriving, now), now)
	for _, name := range slices.Sorted(maps.Keys(arriving)) {
		c := f.children[name]
		if err != nil {
			faults = append(faults, c.refuse(name, arriving[name].packed, arriving[name].version, now, err))
			continue
		}
		c.held, c.absent = arriving[name], false
		c.reloads++
		c.accept(arriving[name].version, now)
	}
	f.resubscribe()
	if len(faults) > 0 {
		return &rejection{"updating", f.child.noun, faults}
	}
	return nil
}

// decodeChildren returns the children of r that were asked for and changed, and the faults of those that cannot be used.
func (f *family[P, C]) decodeChildren(r ads.Response, now time.Time) (arriving map[string]*revision[C], faults []string) {
	arriving = make(map[string]*revision[C])
	for _, res := range r.Resources {
		c := f.children[res.Name]
		if c == nil {
			continue
		}
		c.stats.UpdateAttempt++
		if c.held.same(res.Packed) {
			c.accept(res.Version, now)
			continue
		}
		value, err := f.child.decode(res.Message)
		if err != nil {
			faults = append(faults, c.refuse(res.Name, res.Packed, res.Version, now, err))
			continue
		}
		arriving[res.Name] = &revision[C]{value: value, packed: res.Packed, version: res.Version, updated: now}
	}
	return arriving, faults
}

func (c *child[C]) accept(version string, now time.Time) {
	c.failure = nil
	c.stats.UpdateSuccess++
	c.stats.UpdateTime = now
	c.stats.Version, c.stats.VersionText = ads.VersionHash(version), version
}

// refuse notes why a change of c was refused, and returns it as a part of an error text.
func (c *child[C]) refuse(name string, packed *anypb.Any, version string, now time.Time, why error) string {
	c.failure = &failure{packed: packed, version: version, when: now, why: why.Error()}
	c.stats.UpdateRejected++
	return fmt.Sprintf("%s: %v", name, why)
}

// expire applies the parents that have waited long enough.
func (f *family[P, C]) expire(now time.Time) {
	names := f.ready(nil, now)
	if len(names) == 0 {
		return
	}
	for _, name := range names {
		w := f.parents[name].warming
		for _, n := range f.needs(w.value) {
			if f.known(n.child) || !n.overdue(w.updated, now) {
				continue
			}
			if c := f.children[n.child]; c != nil {
				c.fetchTimeouts++
				c.stats.UpdateAttempt++
			}
			f.log.Warn("initial fetch timed out", zap.String("kind", f.parent.noun), zap.String("name", name),
				zap.String(f.child.noun, n.child))
		}
	}
	// Without a base there is no other error than those of the names, which commit notes.
	_, _ = f.commit(nil, names, now)
	f.resubscribe()
}

// resubscribe asks for the children that are referred to now, and drops those that are not.
func (f *family[P, C]) resubscribe() {
	wanted := f.wanted()
	var orphans, held []string
	for name, c := range f.children {
		if wanted[name] {
			continue
		}
		orphans = append(orphans, name)
		if c.held != nil {
			held = append(held, name)
		}
	}
	if err := f.dropChildren(held); err != nil {
		f.log.Error("resources without a referrer cannot be dropped", zap.Strings(f.child.noun, held), zap.Error(err))
	}
	for _, name := range orphans {
		delete(f.children, name)
	}
	for name := range wanted {
		if f.children[name] == nil {
			f.children[name] = &child[C]{stats: ads.Stats{UpdateAttempt: 1}}
		}
	}
	if f.subscribe != nil {
		f.subscribe(slices.Sorted(maps.Keys(wanted)))
	}
}

func (f *family[P, C]) dropChildren(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var d config.Delta
	f.child.changes(&d).Remove = names
	return f.store.Apply(config.SourceXDS, d)
}

// wanted returns the children that any parent refers to, in force or warming.
func (f *family[P, C]) wanted() map[string]bool {
	wanted := make(map[string]bool)
	want := func(p P) {
		for _, n := range f.needs(p) {
			wanted[n.child] = true
		}
	}
	if !f.staticSince.IsZero() {
		for _, p := range f.static {
			want(p)
		}
	}
	for _, p := range f.parents {
		if p.active != nil {
			want(p.active.value)
		}
		if p.warming != nil {
			want(p.warming.value)
		}
	}
	return wanted
}

// disconnected counts the loss of the stream for every child.
func (f *family[P, C]) disconnected() {
	for _, c := range f.children {
		c.stats.UpdateAttempt++
		c.stats.UpdateFailure++
	}
}
