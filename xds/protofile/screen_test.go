package protofile

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// newerField is a field that no message of the API has.
var newerField = protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1)

// screened is a cluster with a message in every kind of place.
func screened(t testing.TB) *clusterv3.Cluster {
	t.Helper()
	options := &upstreamv3.HttpProtocolOptions{CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(1)}}
	return &clusterv3.Cluster{
		Name: "c", ConnectTimeout: durationpb.New(1), LbPolicy: clusterv3.Cluster_RING_HASH,
		HealthChecks: []*corev3.HealthCheck{{}, {Timeout: durationpb.New(1)}},
		LbSubsetConfig: &clusterv3.Cluster_LbSubsetConfig{
			ListAsAny: true,
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"x": pack(t, options)},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: "c",
			Endpoints: []*endpointv3.LocalityLbEndpoints{{
				LbEndpoints: []*endpointv3.LbEndpoint{{LoadBalancingWeight: wrapperspb.UInt32(3)}},
			}},
		},
	}
}

func pack(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// field returns a field of bytes.
func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func TestScreen(t *testing.T) {
	newer := &corev3.Locality{Zone: "z"}
	newer.ProtoReflect().SetUnknown(newerField)
	// typed_config of a transport socket, in two parts that are one message once they are decoded.
	packed := pack(t, newer)
	socket := func(any []byte) []byte { return field(24, field(3, any)) }
	url, value := field(1, []byte(packed.GetTypeUrl())), field(2, packed.GetValue())
	with := func(change func(*clusterv3.Cluster)) []byte {
		c := screened(t)
		change(c)
		return wire(t, c)
	}
	unknown := func(m proto.Message) { m.ProtoReflect().SetUnknown(newerField) }
	tests := map[string]struct {
		value []byte
		want  bool
	}{
		"nothing unknown": {wire(t, screened(t)), true},
		"nothing":         {nil, true},
		"at the top":      {with(func(c *clusterv3.Cluster) { unknown(c) }), false},
		"in a field":      {with(func(c *clusterv3.Cluster) { unknown(c.ConnectTimeout) }), false},
		"in a list":       {with(func(c *clusterv3.Cluster) { unknown(c.HealthChecks[1]) }), false},
		"deep in lists":   {with(func(c *clusterv3.Cluster) { unknown(c.LoadAssignment.Endpoints[0].LbEndpoints[0].LoadBalancingWeight) }), false},
		"packed":          {with(func(c *clusterv3.Cluster) { c.TypedExtensionProtocolOptions["x"] = packed }), false},
		"beside packed":   {with(func(c *clusterv3.Cluster) { unknown(c.TypedExtensionProtocolOptions["x"]) }), false},
		"of an unknown type": {with(func(c *clusterv3.Cluster) {
			c.TypedExtensionProtocolOptions["x"] = &anypb.Any{TypeUrl: "type.googleapis.com/none", Value: newerField}
		}), true},
		"packed, in one part":                         {socket(append(url, value...)), false},
		"packed, in two parts, one of which says how": {append(socket(url), socket(value)...), false},
		"another wire type":                           {protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1), false},
	}
	var s Screen
	typ := (&clusterv3.Cluster{}).ProtoReflect().Descriptor()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.Clean(typ, test.value); got != test.want {
				t.Errorf("clean: %v, want %v", got, test.want)
			}
			requireTold(t, test.value, s.Clean(typ, test.value))
		})
	}
}

// requireTold fails when something is called clean that has unknown fields.
func requireTold(t *testing.T, value []byte, clean bool) {
	t.Helper()
	var c clusterv3.Cluster
	if err := proto.Unmarshal(value, &c); err != nil {
		return
	}
	if found := Unknown(&c); clean && len(found) > 0 {
		t.Errorf("clean, yet there are %q", found)
	}
}

func FuzzScreen(f *testing.F) {
	f.Add(wire(f, screened(f)))
	newer := screened(f)
	newer.HealthChecks[0].ProtoReflect().SetUnknown(newerField)
	f.Add(wire(f, newer))
	typ := (&clusterv3.Cluster{}).ProtoReflect().Descriptor()
	var s Screen
	f.Fuzz(func(t *testing.T, value []byte) { requireTold(t, value, s.Clean(typ, value)) })
}
