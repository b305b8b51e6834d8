// Package bootstrap reads Envoy's bootstrap configuration: the file, what the command line lays over it, and the
// environment of the container.
package bootstrap

import (
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Bootstrap is a bootstrap configuration, checked and decoded. It is read-only once it is complete.
type Bootstrap struct {
	// Proto is the configuration as written, after merging, for /config_dump.
	Proto *bootstrapv3.Bootstrap
	// Node identifies this proxy to the control plane. It is never nil, and is also Proto.Node.
	Node *corev3.Node

	// Admin is the address of the admin server, of meaning when HasAdmin is set.
	Admin    config.Address
	HasAdmin bool

	// Listeners and Clusters are the static resources. A cluster that only the gRPC client can use is not among Clusters.
	Listeners []*config.Listener
	Clusters  []*config.Cluster

	// XDS is nil when nothing is asked of a control plane.
	XDS *XDSConfig

	Stats StatsConfig

	// Warnings names what was accepted and has no effect, a line each.
	Warnings []string
}

// XDSConfig tells how to reach the control plane over ADS and what to ask it for.
type XDSConfig struct {
	// Cluster is the name of the static cluster that the control plane is.
	Cluster string
	// Targets are the addresses of its endpoints in order, at least one. IP holds a host name in a STRICT_DNS cluster.
	Targets []config.Address
	// Authority is sent as :authority, empty for the target's.
	Authority string
	// InitialMetadata is sent when a stream is opened.
	InitialMetadata []Metadata

	ConnectTimeout time.Duration
	// KeepaliveInterval and KeepaliveTimeout are those of HTTP/2 connection_keepalive; an interval of 0 means no pings.
	KeepaliveInterval, KeepaliveTimeout time.Duration
	// MaxReceiveBytes bounds a message from the control plane.
	MaxReceiveBytes int

	// SetNodeOnFirstMessageOnly sends the node in the first request of a stream only.
	SetNodeOnFirstMessageOnly bool

	// LDS and CDS tell whether listeners and clusters are asked for by wildcard. The fetch timeouts bound the wait for
	// the first answer; 0 waits for ever.
	LDS, CDS                         bool
	LDSFetchTimeout, CDSFetchTimeout time.Duration
}

// Metadata is one entry of gRPC metadata.
type Metadata struct{ Key, Value string }

// StatsConfig is envoy.config.metrics.v3.StatsConfig as far as it has a function.
type StatsConfig struct {
	// Tags are the tags with a fixed value that every metric carries.
	Tags []StatsTag
	// UseDefaultTags is use_all_default_tags, true by default.
	UseDefaultTags bool
}

// StatsTag is a tag and its value.
type StatsTag struct{ Name, Value string }

// Options tells how a bootstrap is read.
type Options struct {
	// MergeYAML is laid over the file as --config-yaml does: scalars replace, lists append, messages merge.
	MergeYAML string
	// AllowUnknownFields accepts fields that the API does not have (--allow-unknown-static-fields).
	AllowUnknownFields bool
}

// Format is the syntax of a bootstrap.
type Format uint8

// The formats.
const (
	YAML Format = iota
	JSON
)

// Load reads the bootstrap file at path; its extension .json tells JSON, every other YAML. An empty path is allowed when
// there is MergeYAML. The error has a line for each thing that is wrong.
func Load(path string, o Options) (*Bootstrap, error) { return nil, nil }

// Parse is Load of data. The name stands for the file in errors.
func Parse(name string, data []byte, f Format, o Options) (*Bootstrap, error) { return nil, nil }

// FromEnvironment returns the bootstrap that the variables of the container describe.
func FromEnvironment(env func(string) string) (*Bootstrap, error) { return nil, nil }

// Complete takes from the environment what b leaves out, and returns a note for each variable that is set and
// contradicted by b, which wins.
func Complete(b *Bootstrap, env func(string) string) (notes []string, err error) { return nil, nil }

// Check reports whether b can run: a node with id and cluster where there is a control plane to talk to.
func (b *Bootstrap) Check() error { return nil }
