package management

import (
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// order is how resource types follow each other when a world changes: what is referred to goes before what refers to it.
var order = []string{resource.ClusterType, resource.AssignmentType, resource.SecretType, resource.ListenerType, resource.RouteType}

// wildcard are the types of which a request without names asks for everything.
var wildcard = map[string]bool{resource.ClusterType: true, resource.ListenerType: true}

// Resource is something that is served. Its version is a hash of its content.
type Resource struct {
	TypeURL, Name string
	Body          *anypb.Any
	version       string
}

// Pack makes a resource of a message of one of the resource types.
func Pack(message proto.Message) Resource {
	body := &anypb.Any{}
	if err := anypb.MarshalFrom(body, message, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(fmt.Sprintf("BUG: a message that cannot be encoded: %v", err))
	}
	return Raw(body.GetTypeUrl(), resource.Name(message), body)
}

// Raw makes a resource of anything, which need not be what the URL says.
func Raw(url, name string, body *anypb.Any) Resource {
	return Resource{url, name, body, strconv.FormatUint(xxhash.Sum64(body.GetValue()), 16)}
}

// collection are the resources of one type.
type collection struct {
	version string
	byName  map[string]Resource
	names   []string // in the order in which they were given
}

// same reports whether two collections have the same content, in any order.
func (c *collection) same(other *collection) bool {
	if len(c.byName) != len(other.byName) {
		return false
	}
	for name, r := range c.byName {
		if o, ok := other.byName[name]; !ok || o.version != r.version {
			return false
		}
	}
	return true
}

// collect sorts resources by type. Every type of order has a collection.
func collect(resources []Resource) map[string]*collection {
	types := make(map[string]*collection)
	for _, url := range order {
		types[url] = &collection{byName: make(map[string]Resource)}
	}
	for _, r := range resources {
		c := types[r.TypeURL]
		if c == nil {
			c = &collection{byName: make(map[string]Resource)}
			types[r.TypeURL] = c
		}
		if _, twice := c.byName[r.Name]; !twice {
			c.names = append(c.names, r.Name)
		}
		c.byName[r.Name] = r
	}
	return types
}
