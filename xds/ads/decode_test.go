package ads

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// FuzzDecode decodes what a server could send, in both variants. Whatever it is, each name comes once, with a lifetime, and none of
// it without a body of the right type.
func FuzzDecode(f *testing.F) {
	body, err := anypb.New(wrapperspb.String("a"))
	if err != nil {
		f.Fatal(err)
	}
	wrapped := &discoveryv3.Resource{Name: "a", Version: "1", Resource: body, Ttl: durationpb.New(1)}
	packed, err := anypb.New(wrapped)
	if err != nil {
		f.Fatal(err)
	}
	seed := func(m proto.Message, delta bool) {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, delta)
	}
	heartbeat := &discoveryv3.Resource{Name: "b", Version: "held"}
	seed(&discoveryv3.DiscoveryResponse{VersionInfo: "held", Resources: []*anypb.Any{body, packed}}, false)
	seed(&discoveryv3.DeltaDiscoveryResponse{Resources: []*discoveryv3.Resource{wrapped, heartbeat}, RemovedResources: []string{"c"}}, true)
	typ := &Type{URL: body.GetTypeUrl(), Decode: func(packed *anypb.Any) (string, proto.Message, error) {
		var m wrapperspb.StringValue
		err := packed.UnmarshalTo(&m)
		return m.GetValue(), &m, err
	}}
	f.Fuzz(func(t *testing.T, data []byte, delta bool) {
		r := &response{}
		var world discoveryv3.DiscoveryResponse
		var changes discoveryv3.DeltaDiscoveryResponse
		switch {
		case delta && proto.Unmarshal(data, &changes) == nil:
			r.changed, r.removed = changes.GetResources(), changes.GetRemovedResources()
		case !delta && proto.Unmarshal(data, &world) == nil:
			r.world, r.version = world.GetResources(), world.GetVersionInfo()
		default:
			return
		}
		got, err := typ.decode(r, func(_, version string) bool { return version == "held" })
		if err != nil {
			return
		}
		if len(got.lifetimes) != len(got.resources)+got.heartbeats {
			t.Errorf("%d lifetimes of %d resources and %d heartbeats", len(got.lifetimes), len(got.resources), got.heartbeats)
		}
		names := make(map[string]bool)
		for _, l := range got.lifetimes {
			if names[l.name] || l.ttl < 0 {
				t.Errorf("lifetime %+v, and names %v before", l, names)
			}
			names[l.name] = true
		}
		for _, resource := range got.resources {
			if resource.Packed.GetTypeUrl() != typ.URL || !names[resource.Name] {
				t.Errorf("resource %+v without a lifetime or of another type", resource)
			}
		}
	})
}
