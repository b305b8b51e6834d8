package ads

import (
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// wrapperURL is the type of a resource that carries its name and more beside it.
const wrapperURL = "type.googleapis.com/envoy.service.discovery.v3.Resource"

// decode returns the resources of a response, or the first fault in any of them.
func (t *Type) decode(packed []*anypb.Any) ([]Resource, error) {
	resources := make([]Resource, 0, len(packed))
	seen := make(map[string]struct{}, len(packed))
	for i, p := range packed {
		r, err := t.decodeOne(p)
		if err != nil {
			return nil, fmt.Errorf("resource %d: %w", i, err)
		}
		if _, ok := seen[r.Name]; ok {
			return nil, fmt.Errorf("resource %d: duplicate resource %q, want each name once in a response", i, r.Name)
		}
		seen[r.Name] = struct{}{}
		resources = append(resources, r)
	}
	return resources, nil
}

func (t *Type) decodeOne(packed *anypb.Any) (Resource, error) {
	wrapped := ""
	if packed.GetTypeUrl() == wrapperURL {
		var wrapper discoveryv3.Resource
		if err := proto.Unmarshal(packed.GetValue(), &wrapper); err != nil {
			return Resource{}, fmt.Errorf("%s: %w", wrapperURL, err)
		}
		if wrapper.GetResource() == nil {
			return Resource{}, fmt.Errorf("resource %q has no body", wrapper.GetName())
		}
		wrapped, packed = wrapper.GetName(), wrapper.GetResource()
	}
	if packed.GetTypeUrl() != t.URL {
		return Resource{}, fmt.Errorf("type URL %q in a response of type %q", packed.GetTypeUrl(), t.URL)
	}
	name, message, err := t.Decode(packed)
	if err != nil {
		return Resource{}, err
	}
	if wrapped != "" && wrapped != name {
		return Resource{}, fmt.Errorf("resource %q: its wrapper names it %q", name, wrapped)
	}
	return Resource{Name: name, Message: message, Packed: packed}, nil
}
