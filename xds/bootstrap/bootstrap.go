// Package bootstrap reads Envoy's bootstrap configuration: the file, what the command line lays over it, and the
// environment of the container.
//
// A field that would change traffic and has no function here is an error; one that would not, or that is deprecated and
// still found in many files, is accepted with a warning.
package bootstrap

import (
	"errors"

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

	// Admin is the address of the admin server, of meaning when HasAdmin is set. AdminMode is the mode of its file where that is a Unix
	// domain socket, 0 for what the umask leaves.
	Admin     config.Address
	AdminMode uint32
	HasAdmin  bool
	// ProfilePath is where the admin server writes profiles, empty for its default. AllowPaths are the paths that it serves;
	// none are all.
	ProfilePath string
	AllowPaths  []config.StringMatcher

	// Listeners and Clusters are the static resources. The clusters of control planes are among Clusters.
	Listeners []*config.Listener
	Clusters  []*config.Cluster
	// Bind is where connections to hosts of clusters begin that do not say, nil for anywhere.
	Bind *config.Bind
	// LocalCluster is the name of the one of Clusters that this proxy is one of, empty where that is not said.
	LocalCluster string
	// Secrets are the static secrets that TLS contexts can name. generic_secret is not among them.
	Secrets []*config.Secret

	// ADS is the control plane of the aggregated stream (ads_config), nil when there is no such stream.
	ADS *ControlPlane
	// LDS and CDS tell where all listeners and clusters are asked for, nil when they are not.
	LDS, CDS *config.Discovery

	// MaxConnections bounds the connections of clients (overload_manager), 0 when it does not.
	MaxConnections uint64

	Stats StatsConfig
	// Runtime is the layers of the runtime; later ones go over earlier ones.
	Runtime []config.RuntimeLayer

	// Warnings names what was accepted and has no effect, a line each.
	Warnings []string
	// UnknownFields is how many fields that the API does not have were left out, for server.static_unknown_fields.
	UnknownFields int

	notes protofile.Notes
}

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

// Locality returns where this proxy runs (node.locality), the zero value when that is not said.
func (b *Bootstrap) Locality() config.Locality {
	l := b.Node.GetLocality()
	return config.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
}
