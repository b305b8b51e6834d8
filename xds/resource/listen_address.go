package resource

import (
	"math"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxAddresses bounds the additional addresses of a listener, each of which has a socket per worker.
	maxAddresses = 64
	// maxSocketOptions bounds the options of a socket.
	maxSocketOptions = 64
	// maxSocketOption bounds the value of an option that is given as bytes.
	maxSocketOption = 4096
)

// Options of TCP sockets for keep-alive, of tcp(7) and socket(7).
const (
	levelSocket, optionKeepAlive                             = 1, 9
	levelTCP, optionKeepIdle, optionKeepIntvl, optionKeepCnt = 6, 4, 5, 6
)

var (
	listenSocketFields      = fields{"protocol": decoded, "address": decoded, "port_value": decoded, "ipv4_compat": decoded}
	additionalAddressFields = fields{"address": decoded, "socket_options": decoded, "tcp_keepalive": decoded}
	optionsOverrideFields   = fields{"socket_options": decoded}
	socketOptionFields      = fields{
		"description": noEffect, // a text for people
		"level":       decoded, "name": decoded, "int_value": decoded, "buf_value": decoded, "state": decoded,
		"type": decoded, "ip_version": decoded,
	}
	socketTypeFields   = fields{"stream": decoded, "datagram": decoded}
	tcpKeepaliveFields = fields{"keepalive_probes": decoded, "keepalive_time": decoded, "keepalive_interval": decoded}
)

// listenAddresses decodes where a listener listens, and what is asked of its sockets.
func (a *at) listenAddresses(l *listenerv3.Listener, out *config.Listener) {
	settings := config.SocketSettings{
		Backlog: l.GetTcpBacklogSize().GetValue(), Freebind: l.GetFreebind().GetValue(), Transparent: l.GetTransparent().GetValue(),
	}
	keepalive := a.tcpKeepalive("tcp_keepalive", l.GetTcpKeepalive())
	main := a.in("address").listenAddress(l.GetAddress(), settings)
	main.Options = a.socketOptions(l.GetSocketOptions(), main.IP)
	if main.Path == "" { // there is no protocol below a Unix domain socket that could keep it alive
		main.Options = append(main.Options, keepalive...)
	}
	out.Address, out.Socket = main.Address, main.SocketSettings
	if n := len(l.GetAdditionalAddresses()); n > maxAddresses {
		a.in("additional_addresses").errorf("there are %d, there may be %d", n, maxAddresses)
		return
	}
	for i, more := range l.GetAdditionalAddresses() {
		place := a.item("additional_addresses", i)
		place.only(more, additionalAddressFields)
		address := place.in("address").listenAddress(more.GetAddress(), settings)
		options, where := l.GetSocketOptions(), a
		if own := more.GetSocketOptions(); own != nil {
			where = place.in("socket_options")
			where.only(own, optionsOverrideFields)
			options = own.GetSocketOptions()
		}
		address.Options = where.socketOptions(options, address.IP)
		if own := more.GetTcpKeepalive(); address.Path != "" {
			place.tcpKeepalive("tcp_keepalive", own)
		} else if own != nil {
			address.Options = append(address.Options, place.tcpKeepalive("tcp_keepalive", own)...)
		} else {
			address.Options = append(address.Options, keepalive...)
		}
		out.Additional = append(out.Additional, address)
	}
}

// listenAddress decodes an address to listen on.
func (a *at) listenAddress(addr *corev3.Address, settings config.SocketSettings) config.ListenAddress {
	socket := addr.GetSocketAddress()
	if socket == nil {
		settings.Mode = addr.GetPipe().GetMode()
		if settings.Freebind || settings.Transparent {
			if addr.GetPipe() != nil {
				a.in("pipe").errorf("cannot be with freebind or transparent, which are options of IP")
			}
		}
		return config.ListenAddress{Address: a.address(addr, listenIPOrPipe), SocketSettings: settings}
	}
	place := a.in("socket_address")
	place.only(socket, listenSocketFields)
	out := config.ListenAddress{Address: place.host(socket, onlyIP), SocketSettings: settings}
	out.IPv4Compat = socket.GetIpv4Compat()
	return out
}

// tcpKeepalive decodes TcpKeepalive into options: accepted connections have those of the socket that they came by.
func (a *at) tcpKeepalive(field string, k *corev3.TcpKeepalive) []config.SocketOption {
	if k == nil {
		return nil
	}
	place := a.in(field)
	place.only(k, tcpKeepaliveFields)
	options := []config.SocketOption{{Level: levelSocket, Name: optionKeepAlive, Int: 1}}
	for _, o := range []struct {
		field string
		name  int
		set   bool
		value uint32
	}{
		{"keepalive_probes", optionKeepCnt, k.GetKeepaliveProbes() != nil, k.GetKeepaliveProbes().GetValue()},
		{"keepalive_time", optionKeepIdle, k.GetKeepaliveTime() != nil, k.GetKeepaliveTime().GetValue()},
		{"keepalive_interval", optionKeepIntvl, k.GetKeepaliveInterval() != nil, k.GetKeepaliveInterval().GetValue()},
	} {
		if !o.set {
			continue
		}
		if o.value == 0 || o.value > math.MaxInt16 {
			place.in(o.field).errorf("%d must be from 1 to %d", o.value, math.MaxInt16)
		}
		options = append(options, config.SocketOption{Level: levelTCP, Name: o.name, Int: int(o.value)})
	}
	return options
}

// socketOptions decodes the options for a socket on ip.
func (a *at) socketOptions(list []*corev3.SocketOption, ip string) (out []config.SocketOption) {
	if len(list) > maxSocketOptions {
		a.in("socket_options").errorf("there are %d, there may be %d", len(list), maxSocketOptions)
		return nil
	}
	for i, o := range list {
		place := a.item("socket_options", i)
		place.only(o, socketOptionFields)
		if o.GetLevel() < 0 || o.GetLevel() > math.MaxInt32 || o.GetName() < 0 || o.GetName() > math.MaxInt32 {
			place.errorf("level and name must be from 0 to %d", math.MaxInt32)
		}
		option := config.SocketOption{Level: int(o.GetLevel()), Name: int(o.GetName()), State: socketState(o.GetState())}
		switch v := o.GetValue().(type) {
		case *corev3.SocketOption_IntValue:
			if v.IntValue < math.MinInt32 || v.IntValue > math.MaxUint32 {
				place.in("int_value").errorf("%d does not fit into 32 bits", v.IntValue)
			}
			option.Int = int(int32(v.IntValue))
		case *corev3.SocketOption_BufValue:
			if len(v.BufValue) == 0 || len(v.BufValue) > maxSocketOption {
				place.in("buf_value").errorf("has %d bytes, it must have 1 to %d", len(v.BufValue), maxSocketOption)
			}
			option.Bytes = v.BufValue
		}
		if place.optionApplies(o, ip) {
			out = append(out, option)
		}
	}
	return out
}

func socketState(s corev3.SocketOption_SocketState) config.SocketState {
	switch s {
	case corev3.SocketOption_STATE_BOUND:
		return config.SocketBound
	case corev3.SocketOption_STATE_LISTENING:
		return config.SocketListening
	default:
		return config.SocketPrebind
	}
}

// optionApplies reports whether an option is for TCP sockets on ip.
func (a *at) optionApplies(o *corev3.SocketOption, ip string) bool {
	if t := o.GetType(); t != nil {
		a.in("type").only(t, socketTypeFields)
		if t.GetStream() == nil && t.GetDatagram() != nil {
			return false
		}
	}
	switch v6 := strings.Contains(ip, ":"); o.GetIpVersion() {
	case corev3.SocketOption_SOCKET_IP_VERSION_IPV4:
		return !v6
	case corev3.SocketOption_SOCKET_IP_VERSION_IPV6:
		return v6
	default:
		return true
	}
}
