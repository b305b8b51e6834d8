package ads

import (
	"cmp"
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// wrapperURL is the type of a resource that carries its name and more beside it.
const wrapperURL = "type.googleapis.com/envoy.service.discovery.v3.Resource"

// contents are the resources of a response.
type contents struct {
	resources  []Resource
	lifetimes  []lifetime // of each of them, and of heartbeats
	heartbeats int
}

// taking tells Take of a response, and returns what is to be called when it is taken.
func (t *Type) taking(r *response) (taken func()) {
	if t.Take == nil {
		return func() {}
	}
	bytes := 0
	for _, packed := range r.world {
		bytes += len(packed.GetValue())
	}
	for _, wrapper := range r.changed {
		bytes += len(wrapper.GetResource().GetValue())
	}
	return t.Take(bytes)
}

// decode returns what is in a response, or the first fault in any of it. holds tells whether a resource without a body is a
// heartbeat; nil means that there are none.
func (t *Type) decode(r *response, holds func(name, version string) bool) (contents, error) {
	d := decoding{typ: t, holds: holds, seen: make(map[string]struct{}, len(r.world)+len(r.changed))}
	d.resources = make([]Resource, 0, len(r.world)+len(r.changed))
	for i, packed := range r.world {
		if err := d.world(packed, r.version); err != nil {
			return contents{}, fmt.Errorf("resource %d: %w", i, err)
		}
	}
	for i, wrapper := range r.changed {
		if err := d.wrapped(wrapper, ""); err != nil {
			return contents{}, fmt.Errorf("resource %d: %w", i, err)
		}
	}
	for i, name := range r.removed {
		if err := d.once(name); err != nil {
			return contents{}, fmt.Errorf("removed resource %d: %w", i, err)
		}
	}
	return d.contents, nil
}

// decoding is a response that is being decoded.
type decoding struct {
	typ   *Type
	holds func(name, version string) bool
	seen  map[string]struct{} // names
	contents
}

// once refuses a name that was there before.
func (d *decoding) once(name string) error {
	if _, ok := d.seen[name]; ok {
		return fmt.Errorf("duplicate resource %q, want each name once in a response", name)
	}
	d.seen[name] = struct{}{}
	return nil
}

// world decodes a resource of the state of the world. version is that of the response.
func (d *decoding) world(packed *anypb.Any, version string) error {
	if packed.GetTypeUrl() != wrapperURL {
		return d.body(packed, "", version, lifetime{})
	}
	var wrapper discoveryv3.Resource
	if err := proto.Unmarshal(packed.GetValue(), &wrapper); err != nil {
		return fmt.Errorf("%s: %w", wrapperURL, err)
	}
	if wrapper.GetResource() == nil {
		wrapper.Version = version // a heartbeat is for what came with the response before
	}
	return d.wrapped(&wrapper, version)
}

// wrapped decodes a resource that comes with its name. version is what holds for one without a version of its own.
func (d *decoding) wrapped(wrapper *discoveryv3.Resource, version string) error {
	name := wrapper.GetName()
	life := lifetime{name: name, bounded: wrapper.GetTtl() != nil}
	if life.bounded {
		life.ttl = wrapper.GetTtl().AsDuration()
		if err := wrapper.GetTtl().CheckValid(); err != nil || life.ttl < 0 {
			return fmt.Errorf("resource %q: ttl %v must not be negative", name, wrapper.GetTtl())
		}
	}
	switch {
	case wrapper.GetResource().GetTypeUrl() == wrapperURL:
		return fmt.Errorf("resource %q: is wrapped twice", name)
	case wrapper.GetResource() != nil:
		return d.body(wrapper.GetResource(), name, cmp.Or(wrapper.GetVersion(), version), life)
	case d.holds != nil && d.holds(name, wrapper.GetVersion()):
		d.heartbeats++
		d.lifetimes = append(d.lifetimes, life)
		return d.once(name)
	case len(wrapper.GetAliases()) > 0:
		return nil // an alias that the server knows no resource for
	default:
		return fmt.Errorf("resource %q has no body, and is no heartbeat: version %q is not held", name, wrapper.GetVersion())
	}
}

// body decodes a resource that was wrapped under a name, or in nothing.
func (d *decoding) body(packed *anypb.Any, wrapped, version string, life lifetime) error {
	if packed.GetTypeUrl() != d.typ.URL {
		return fmt.Errorf("type URL %q in a response of type %q", packed.GetTypeUrl(), d.typ.URL)
	}
	name, message, err := d.typ.Decode(packed)
	if err != nil {
		return err
	}
	if wrapped != "" && wrapped != name {
		return fmt.Errorf("resource %q: its wrapper names it %q", name, wrapped)
	}
	life.name = name
	d.lifetimes = append(d.lifetimes, life)
	d.resources = append(d.resources, Resource{Name: name, Version: version, Message: message, Packed: packed})
	return d.once(name)
}
