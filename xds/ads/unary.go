package ads

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// Unary is the state of a subscription to one type whose responses are fetched whole and are not answered: from a file, or by
// polling. It does no fetching itself; who fetches waits for Changed, asks for the names that are Wanted, and hands over what comes
// with Take, or why nothing came with Failed. All methods may be called from any goroutine.
type Unary struct {
	typ     Type
	changed chan struct{}

	mu    sync.Mutex // guards all below
	sub   subscription
	asked []string // for what the fetch under way was
	state State
}

// NewUnary returns the state of a subscription to t, of which target is the source as State shows it.
func NewUnary(t Type, target string) *Unary {
	return &Unary{typ: t, changed: make(chan struct{}, 1), sub: subscription{Type: t}, state: State{Target: target}}
}

// Subscribe asks for the resources names, as [Client.Subscribe] does.
func (u *Unary) Subscribe(url string, names []string) {
	if url != u.typ.URL {
		panic(fmt.Sprintf("BUG: subscription to the undeclared type %s", url))
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)

	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sub.subscribed && slices.Equal(u.sub.names, sorted) {
		return
	}
	u.sub.subscribed = u.sub.subscribed || u.typ.Wildcard || len(sorted) > 0
	if !within(sorted, u.sub.names) {
		// A source that goes by the version alone would say that nothing is new.
		u.sub.version = ""
	}
	u.sub.names = sorted
	if u.wants() {
		u.Again()
	}
}

// wants reports whether anything is asked for. The caller holds the lock.
func (u *Unary) wants() bool {
	return u.sub.subscribed && (u.typ.Wildcard || len(u.sub.names) > 0)
}

// within reports whether all names are among others. Both are sorted.
func within(names, others []string) bool {
	for _, name := range names {
		if _, found := slices.BinarySearch(others, name); !found {
			return false
		}
	}
	return true
}

// Again makes Changed receive.
func (u *Unary) Again() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// Changed receives when there is a reason to fetch: other names are asked for, or Again was called.
func (u *Unary) Changed() <-chan struct{} { return u.changed }

// Wanted returns the names that are asked for, sorted and read-only, and the version that was accepted last. ok is false when
// nothing is asked for.
func (u *Unary) Wanted() (names []string, version string, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = u.sub.names
	return u.sub.names, u.sub.version, u.wants()
}

// Attempted counts an attempt to fetch.
func (u *Unary) Attempted() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sub.stats.UpdateAttempt++
}

// Failed counts an attempt that gave no response.
func (u *Unary) Failed(why error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sub.stats.UpdateFailure++
	u.state.Connected, u.state.LastError = false, why.Error()
}

// Turn takes note that it is another source that is asked from now on.
func (u *Unary) Turn(target string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Target = target
}

// Refused counts a response that could not be read as one.
func (u *Unary) Refused() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sub.stats.UpdateRejected++
}

// Unchanged takes note that the source answered that nothing has changed.
func (u *Unary) Unchanged() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Connected, u.state.Heard, u.state.LastError = true, true, ""
}

// Take decodes a response and has the type handle the resources that are asked for. The error says why it is refused; it is counted
// unless ctx is done, and the version before stays the accepted one. Only one Take is under way at a time.
func (u *Unary) Take(ctx context.Context, r *discoveryv3.DiscoveryResponse) error {
	names := u.noteResponse(r)
	decoded := Response{Version: r.GetVersionInfo()}
	whole := &response{version: r.GetVersionInfo(), world: r.GetResources()}
	defer u.typ.taking(whole)()
	found, err := u.typ.decode(whole, nil)
	decoded.Resources = found.resources
	if err == nil {
		if !u.typ.Wildcard || len(names) > 0 {
			decoded.Resources = slices.DeleteFunc(decoded.Resources, func(res Resource) bool {
				_, wanted := slices.BinarySearch(names, res.Name)
				return !wanted
			})
		}
		err = u.typ.Handle(ctx, decoded)
	} else if u.typ.Refused != nil {
		u.typ.Refused(ctx, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.sub.stats.UpdateRejected++
		return err
	}
	u.sub.took(&decoded, time.Now())
	if !within(u.sub.names, u.asked) {
		u.sub.version = "" // more was asked for meanwhile
	}
	return nil
}

func (u *Unary) noteResponse(r *discoveryv3.DiscoveryResponse) (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Connected, u.state.Heard, u.state.LastError = true, true, ""
	if id := r.GetControlPlane().GetIdentifier(); id != "" {
		u.state.Identifier = id
	}
	return u.sub.names
}

// State returns what is known about the source. It is Connected when the last attempt gave a response.
func (u *Unary) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// Stats returns the counters of the type with this URL, zero ones for another.
func (u *Unary) Stats(url string) Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	if url != u.typ.URL {
		return Stats{}
	}
	return u.sub.stats
}
