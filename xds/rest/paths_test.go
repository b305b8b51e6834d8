package rest

import (
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3" // services that paths is compared with
	_ "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"

	"github.com/envoyproxy/go-control-plane/envoy/annotations"
	httpapi "google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// TestPathsAreThoseOfTheServices compares the table with the annotations of all services that are linked.
func TestPathsAreThoseOfTheServices(t *testing.T) {
	found := make(map[string]string)
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			resource, _ := proto.GetExtension(service.Options(), annotations.E_Resource).(*annotations.ResourceAnnotation)
			for j := range service.Methods().Len() {
				rule, _ := proto.GetExtension(service.Methods().Get(j).Options(), httpapi.E_Http).(*httpapi.HttpRule)
				if resource != nil && rule.GetPost() != "" {
					found["type.googleapis.com/"+resource.GetType()] = rule.GetPost()
				}
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatal("no annotated service is linked")
	}
	for url, path := range found {
		if paths[url] != path {
			t.Errorf("path of %s is %q, want %q", url, paths[url], path)
		}
	}
	for url := range paths {
		if found[url] == "" {
			t.Errorf("no service says the path of %s", url)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version_info": "v1", "resources": [{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster"}]}`), false)
	f.Add([]byte(`{`), true)
	f.Fuzz(func(t *testing.T, body []byte, reject bool) {
		r, _, err := decode(body, reject)
		if (r == nil) == (err == nil) {
			t.Errorf("response %v and error %v", r, err)
		}
	})
}
