package resource_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestUnmarshal(t *testing.T) {
	c := &clusterv3.Cluster{Name: "c"}
	plain := pack(t, c)
	for _, packed := range []*anypb.Any{
		plain,
		pack(t, &discoveryv3.Resource{Name: "c", Resource: plain}),
		pack(t, &discoveryv3.Resource{Resource: plain}),
	} {
		name, msg, err := resource.Unmarshal(resource.ClusterType, packed)
		if err != nil || name != "c" || !proto.Equal(msg, c) {
			t.Errorf("got %q, %v, %v", name, msg, err)
		}
	}
}

func TestUnmarshalRefused(t *testing.T) {
	plain := pack(t, &clusterv3.Cluster{Name: "c"})
	tests := []struct {
		typeURL string
		packed  *anypb.Any
		want    string
	}{
		{resource.ListenerType, plain, `resource of type URL "` + resource.ClusterType + `" in a response of type URL "` + resource.ListenerType + `"`},
		{resource.ClusterType, pack(t, &discoveryv3.Resource{Name: "d", Resource: plain}), `resource "c": its wrapper names it "d"`},
		{resource.ClusterType, pack(t, &discoveryv3.Resource{Name: "d"}), `resource "d": type.googleapis.com/envoy.service.discovery.v3.Resource has no resource in it`},
		{resource.ClusterType, pack(t, &clusterv3.Cluster{}), `resource of type URL "` + resource.ClusterType + `" has no name`},
		{resource.ClusterType, nil, `resource of type URL "" in a response of type URL "` + resource.ClusterType + `"`},
		{"x", &anypb.Any{TypeUrl: "x"}, `type URL "x" is not of a resource of the v3 API that can be asked for`},
	}
	for _, test := range tests {
		_, _, err := resource.Unmarshal(test.typeURL, test.packed)
		checkError(t, err, test.want)
	}
	if _, _, err := resource.Unmarshal(resource.ClusterType, &anypb.Any{TypeUrl: resource.ClusterType, Value: []byte{0xff}}); err == nil {
		t.Error("undecodable bytes were accepted")
	}
}
