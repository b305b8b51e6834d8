package xds

import (
	"slices"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// drains are the listeners that are out of force and have connections left, for dumps.
type drains struct {
	now  func() map[*config.Listener]bool // Options.Draining
	left []leaving                        // in the order in which they began to drain; there are no more than now has or had
}

// leaving is what was in force under a name.
type leaving struct {
	name string
	*revision
}

// add takes note of what went out of force with a change that the store has taken.
func (d *drains) add(gone []leaving) {
	if d.now == nil || len(gone) == 0 {
		return
	}
	d.left = append(d.left, gone...)
	d.prune()
}

// prune forgets those that have drained.
func (d *drains) prune() {
	if len(d.left) == 0 {
		return
	}
	now := d.now()
	d.left = slices.DeleteFunc(d.left, func(l leaving) bool { return !now[l.value.(*config.Listener)] })
}

// byName returns how those that still drain are shown. Of several of a name that is the last one, as in Envoy: a dump has room for one.
func (d *drains) byName() map[string]*adminv3.ListenersConfigDump_DynamicListenerState {
	d.prune()
	states := make(map[string]*adminv3.ListenersConfigDump_DynamicListenerState, len(d.left))
	for _, l := range d.left {
		states[l.name] = dumpListener(l.revision)
	}
	return states
}
