// Package accesslog is what is known of a request or a connection when it has ended, and who is told of it.
package accesslog

import (
	"net/netip"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// Entry is what is known of a request or a connection, when it has ended in most cases. All that it refers to is borrowed for the call
// that it is handed to.
type Entry struct {
	Type config.LogType

	Request  *message.Request  // empty when e is of a connection
	Response *message.Response // nil when none was sent
	Trailers *message.Fields   // of the response, nil without any

	Status  int // 0 when no response was sent
	Details string
	Flags   []string // Envoy's short names of response flags
	Route   string
	// VirtualCluster is the group of requests that the virtual host counts this one in, empty without one.
	VirtualCluster string
	Cluster        string
	Attempts       int // to get a response

	// LocalReply says that the answer is one of the proxy's own which is yet to be sent, and LocalReplyBody is its body so far.
	LocalReply     bool
	LocalReplyBody string

	HealthCheck bool   // the request is one, as the filter health_check has found
	Random      uint64 // drawn for the request

	DownstreamRemote       netip.AddrPort // the client
	DownstreamDirectRemote netip.AddrPort // the peer of the connection
	DownstreamLocal        netip.AddrPort
	DownstreamPath         string         // of the Unix domain socket of the client, in place of those of the three that are not valid
	UpstreamRemote         netip.AddrPort // the zero value without a host
	UpstreamPath           string         // of a host on a Unix domain socket, in place of UpstreamRemote

	// TLS is how hands were shaken with the client, nil in plaintext. The texts that it makes of certificates are kept with it.
	TLS *tls.Peer

	FilterChain  string
	VirtualHost  string
	ConnectionID uint64 // of the client's connection, which no other of the process has
	// TerminationDetails say why the connection was ended, and TransportFailure why the one to the host could not be made.
	TerminationDetails string
	TransportFailure   string
	UpstreamVersion    message.Version // with HasUpstreamVersion
	HasUpstreamVersion bool

	Hostname string // of this machine
	Worker   int    // that tells: no other one uses the number at the same time

	Start                    time.Time
	Duration                 time.Duration
	At                       [PointCount]time.Duration // since Start, Unset for what was not reached
	BytesReceived, BytesSent int64                     // of bodies, or of what a TCP proxy has passed on
}

// OfRequest reports whether e is of a request, and not of a connection.
func (e *Entry) OfRequest() bool { return e.LocalReply || e.Type == config.LogDownstreamEnd }

// Server is where a log server is.
type Server struct {
	Hosts    []Host            // none while they are not known, or when there is no such cluster
	Outbound *outbound.Cluster // counts what becomes of connections, nil for nothing
}

// Host is one of the places of a log server.
type Host struct {
	Address config.Address
	TLS     *tls.Upstream // nil for plaintext
	First   []byte        // what connections begin with, before TLS: a PROXY header, or nothing
	Bind    *config.Bind  // where connections begin, nil for anywhere
}

// Logger is told of requests, on the threads of workers, several at a time. It must not block.
type Logger interface {
	Log(e *Entry)
	// Close lets go of what is held. What is logged later is dropped.
	Close()
}
