// Package bootstrap reads Envoy's bootstrap configuration: the file, what the command line lays over it, and the
// environment of the container.
//
// A field that would change traffic and has no function here is an error; one that would not, or that is deprecated and
// still found in many files, is accepted with a warning.
package bootstrap

import (
	"errors"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
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

	// Listeners and Clusters are the static resources. The cluster of the control plane is among Clusters only when it
	// speaks HTTP/1 too: HTTP/2 clusters are for the gRPC client alone.
	Listeners []*config.Listener
	Clusters  []*config.Cluster

	// ADS is the control plane of the aggregated stream (ads_config), nil when there is no such stream.
	ADS *ControlPlane
	// LDS and CDS tell where all listeners and clusters are asked for, nil when they are not.
	LDS, CDS *config.Discovery

	Stats StatsConfig
	// Runtime is the layers of the runtime; later ones go over earlier ones.
	Runtime []config.RuntimeLayer

	// Warnings names what was accepted and has no effect, a line each.
	Warnings []string
	// UnknownFields is how many fields that the API does not have were left out, for server.static_unknown_fields.
	UnknownFields int

	notes protofile.Notes
}

// ControlPlane tells how to reach a control plane (ApiConfigSource).
type ControlPlane struct {
	// Cluster is the name of the static cluster that it is.
	Cluster string
	// Targets are the addresses of its endpoints in order of priority, at least one. IP holds a host name in a cluster
	// that is resolved by DNS.
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

	// Incremental asks for the incremental variant of the protocol (api_type DELTA_GRPC).
	Incremental bool
	// SetNodeOnFirstMessageOnly sends the node in the first request of a stream only.
	SetNodeOnFirstMessageOnly bool

	// Polls is set where it is polled over HTTP (api_type REST) instead of a stream.
	Polls *Polls
}

// Polls tells how a control plane is polled.
type Polls struct {
	RefreshDelay   time.Duration // between polls, at least 1 ms
	RequestTimeout time.Duration // of each, 0 for the default of the API
	HTTP2          bool          // is spoken, instead of HTTP/1.1
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
	// AllowUnknownFields accepts fields that the API does not have (--allow-unknown-static-fields). They are counted, and
	// are among the warnings.
	AllowUnknownFields bool
}

// mergeName stands for a file's path where the text is that of the command line.
const mergeName = "--config-yaml"

// Load reads the bootstrap file at path, whose extension or content tells its format ([protofile.FormatOf]). The path may
// be empty when there is MergeYAML. The error has a line for each thing that is wrong, which begins with the path.
func Load(path string, o Options) (*Bootstrap, error) {
	if path == "" {
		if o.MergeYAML == "" {
			return nil, errors.New("there is neither a bootstrap file nor a bootstrap text")
		}
		return Parse(mergeName, []byte(o.MergeYAML), protofile.YAML, Options{AllowUnknownFields: o.AllowUnknownFields})
	}
	data, err := protofile.Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, protofile.FormatOf(path, data), o)
}

// Parse is Load of data. The name stands for the file in errors.
func Parse(name string, data []byte, f protofile.Format, o Options) (*Bootstrap, error) {
	read := protofile.Options{AllowUnknown: o.AllowUnknownFields}
	written := &bootstrapv3.Bootstrap{}
	notes, err := protofile.Unmarshal(data, f, written, read)
	if err != nil {
		return nil, protofile.Prefixed(name, err)
	}
	if o.MergeYAML != "" {
		over := &bootstrapv3.Bootstrap{}
		more, err := protofile.Unmarshal([]byte(o.MergeYAML), protofile.YAML, over, read)
		if err != nil {
			return nil, protofile.Prefixed(mergeName, err)
		}
		proto.Merge(written, over)
		notes = notes.With(more.Prefixed(mergeName))
	}
	b, err := decode(written)
	if err != nil {
		return nil, protofile.Prefixed(name, err)
	}
	b.note(notes)
	return b, nil
}

// note adds what the text had beside the message.
func (b *Bootstrap) note(n protofile.Notes) {
	b.notes = n
	b.UnknownFields = len(n.Unknown)
	b.Warnings = append(n.All(), b.Warnings...)
}
