package resource

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxHostName is the longest name that DNS can hold in text form (RFC 1035 section 2.3.4).
const maxHostName = 253

var socketAddressFields = fields{
	"protocol": decoded, "address": decoded, "port_value": decoded,
	"ipv4_compat": onlyFalse,
}

// maxPipePath is the longest path of a Unix domain socket, with the '@' of an abstract name: sun_path of unix(7) holds 108 bytes, and
// a path ends with a NUL.
const maxPipePath = 107

var pipeFields = fields{
	"path": decoded,
	// The file of a socket to connect to has the mode that its server gave it.
	"mode": noEffect,
}

// listenPipeFields are those of a socket to listen on.
var listenPipeFields = fields{"path": decoded, "mode": decoded}

// hosts tells what a socket address may hold.
type hosts uint8

const (
	onlyIP         hosts = iota
	nameOrIP             // a name is resolved later
	ipOrPipe             // also a Unix domain socket
	listenIPOrPipe       // the same to listen on
)

// ServerAddress decodes the address of a server that the bootstrap names: a TCP socket on an IP address, or a Unix domain socket with the
// mode of its file.
func ServerAddress(what string, addr *corev3.Address) (a config.Address, mode uint32, err error) {
	root := &at{report: &report{resource: what}}
	a = root.address(addr, listenIPOrPipe)
	return a, addr.GetPipe().GetMode(), root.err()
}

// address decodes an address, which must be a TCP socket or, where they are allowed, a Unix domain socket.
func (a *at) address(addr *corev3.Address, allowed hosts) config.Address {
	if pipe := addr.GetPipe(); pipe != nil {
		place := a.in("pipe")
		switch allowed {
		case ipOrPipe:
			place.only(pipe, pipeFields)
			return place.pipe(pipe)
		case listenIPOrPipe:
			place.only(pipe, listenPipeFields)
			return place.pipe(pipe)
		}
	}
	socket, ok := addr.GetAddress().(*corev3.Address_SocketAddress)
	if !ok {
		switch addr.GetAddress().(type) {
		case *corev3.Address_Pipe:
			a.in("pipe").errorf("is not supported, only socket_address")
		case *corev3.Address_EnvoyInternalAddress:
			a.in("envoy_internal_address").errorf("is not supported, only socket_address")
		default:
			a.errorf("must have a socket_address")
		}
		return config.Address{}
	}
	return a.in("socket_address").socketAddress(socket.SocketAddress, allowed)
}

// pipe decodes the path of a Unix domain socket.
func (a *at) pipe(p *corev3.Pipe) config.Address {
	path := p.GetPath()
	switch {
	case path == "" || path == "@":
		a.in("path").errorf("must name a socket: the path of a file, or @ and an abstract name")
	case len(path) > maxPipePath:
		a.in("path").errorf("%q has %d bytes, a Unix domain socket can have at most %d", path, len(path), maxPipePath)
	case strings.ContainsRune(path, 0):
		a.in("path").errorf("%q must not hold a NUL byte", path)
	case path[0] == '@' && p.GetMode() != 0:
		a.in("mode").errorf("cannot be set for an abstract socket, which has no file")
	}
	return config.Address{Path: path}
}

// socketAddress decodes an IP address or, where they are allowed, a name.
func (a *at) socketAddress(s *corev3.SocketAddress, allowed hosts) config.Address {
	a.only(s, socketAddressFields)
	return a.host(s, allowed)
}

// host decodes an IP address or name and port.
func (a *at) host(s *corev3.SocketAddress, allowed hosts) config.Address {
	if s.GetProtocol() != corev3.SocketAddress_TCP {
		a.in("protocol").errorf("%s is not supported, only TCP", s.GetProtocol())
	}
	if s.GetPortValue() > 65535 {
		a.in("port_value").errorf("%d is not a port, it must be at most 65535", s.GetPortValue())
	}
	host := s.GetAddress()
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.Zone() == "":
		host = ip.String()
	case allowed != nameOrIP:
		a.in("address").errorf("malformed IP address: %s (a name needs a cluster of type STRICT_DNS)", host)
	case !ValidHostName(host):
		a.in("address").errorf("%q is neither an IP address nor a host name", host)
	}
	return config.Address{IP: host, Port: s.GetPortValue()}
}

// ValidHostName reports whether s can be asked of DNS: labels of printable characters, not empty, that are not too long.
func ValidHostName(s string) bool {
	if s == "" || len(s) > maxHostName || !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '/' || c == ':' || c == '@' || c == '%' {
			return false
		}
	}
	return true
}
