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

// decode returns the resources of a response, or the first fault in any of them.
func (t *Type) decode(r *response) ([]Resource, error) {
	resources := make([]Resource, 0, len(r.world)+len(r.changed))
	seen := make(map[string]struct{}, cap(resources))
	add := func(res Resource, err error) error {
		i := len(resources)
		if err != nil {
			return fmt.Errorf("resource %d: %w", i, err)
		}
		if _, ok := seen[res.Name]; ok {
			return fmt.Errorf("resource %d: duplicate resource %q, want each name once in a response", i, res.Name)
		}
		seen[res.Name] = struct{}{}
		resources = append(resources, res)
		return nil
	}
	for _, packed := range r.world {
		if err := add(t.decodeAny(packed, r.version)); err != nil {
			return nil, err
		}
	}
	for _, wrapper := range r.changed {
		if err := add(t.decodeWrapped(wrapper, "")); err != nil {
			return nil, err
		}
	}
	for i, name := range r.removed {
		if _, ok := seen[name]; ok {
			return nil, fmt.Errorf("removed resource %d: duplicate resource %q, want each name once in a response", i, name)
		}
		seen[name] = struct{}{}
	}
	return resources, nil
}

// decodeAny decodes a resource of the state of the world. version is that of the response.
func (t *Type) decodeAny(packed *anypb.Any, version string) (Resource, error) {
	if packed.GetTypeUrl() == wrapperURL {
		var wrapper discoveryv3.Resource
		if err := proto.Unmarshal(packed.GetValue(), &wrapper); err != nil {
			return Resource{}, fmt.Errorf("%s: %w", wrapperURL, err)
		}
		return t.decodeWrapped(&wrapper, version)
	}
	if packed.GetTypeUrl() != t.URL {
		return Resource{}, fmt.Errorf("type URL %q in a response of type %q", packed.GetTypeUrl(), t.URL)
	}
	name, message, err := t.Decode(packed)
	if err != nil {
		return Resource{}, err
	}
	return Resource{Name: name, Version: version, Message: message, Packed: packed}, nil
}

// decodeWrapped decodes a resource that comes with its name. version is what holds for one without a version of its own.
func (t *Type) decodeWrapped(wrapper *discoveryv3.Resource, version string) (Resource, error) {
	name := wrapper.GetName()
	switch url := wrapper.GetResource().GetTypeUrl(); {
	case wrapper.GetResource() == nil:
		return Resource{}, fmt.Errorf("resource %q has no body", name)
	case url == wrapperURL:
		return Resource{}, fmt.Errorf("resource %q: is wrapped twice", name)
	}
	r, err := t.decodeAny(wrapper.GetResource(), cmp.Or(wrapper.GetVersion(), version))
	if err != nil {
		return Resource{}, err
	}
	if name != "" && name != r.Name {
		return Resource{}, fmt.Errorf("resource %q: its wrapper names it %q", r.Name, name)
	}
	return r, nil
}
