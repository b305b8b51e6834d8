package resource_test

import (
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// onAddress returns a listener on an address, with more fields.
func onAddress(address, fields string) string {
	return "name: l\naddress: {socket_address: {" + address + "}}\ndefault_filter_chain: {" + tcpFilters + "}\n" + fields
}

// onPipe returns a listener on a Unix domain socket, with more fields.
func onPipe(pipe, fields string) string {
	return "name: l\naddress: {pipe: {" + pipe + "}}\ndefault_filter_chain: {" + tcpFilters + "}\n" + fields
}

// TestListenPipe decodes Unix domain sockets, whose options are those that are not about IP.
func TestListenPipe(t *testing.T) {
	got, err := resource.Listener(parse(t, onPipe("path: /run/x, mode: 384", `
tcp_backlog_size: 7
tcp_keepalive: {keepalive_time: 60}
socket_options:
- {level: 1, name: 8, int_value: 4096}
- {level: 6, name: 1, int_value: 1, ip_version: SOCKET_IP_VERSION_IPV6}
additional_addresses:
- {address: {pipe: {path: '@x'}}, tcp_keepalive: {}}
- {address: {socket_address: {address: 127.0.0.1, port_value: 81}}, socket_options: {}}
`), &listenerv3.Listener{}))
	if err != nil {
		t.Fatal(err)
	}
	buffer := []config.SocketOption{{Level: 1, Name: 8, Int: 4096}}
	keep := []config.SocketOption{{Level: 1, Name: 9, Int: 1}, {Level: 6, Name: 4, Int: 60}}
	want := []config.ListenAddress{
		{Address: config.Address{Path: "/run/x"}, SocketSettings: config.SocketSettings{Mode: 0o600, Backlog: 7, Options: buffer}},
		{Address: config.Address{Path: "@x"}, SocketSettings: config.SocketSettings{Backlog: 7, Options: buffer}},
		{Address: config.Address{IP: "127.0.0.1", Port: 81}, SocketSettings: config.SocketSettings{Backlog: 7, Options: keep}},
	}
	checkEqual(t, got.Addresses(), want, nil)
}

func TestListenAddresses(t *testing.T) {
	got, err := resource.Listener(parse(t, onAddress("address: '::', port_value: 80, ipv4_compat: true", `
tcp_backlog_size: 7
freebind: true
transparent: false
socket_options:
- {level: 1, name: 9, int_value: 1, description: keep alive}
- {level: 6, name: 13, buf_value: YWI=, state: STATE_LISTENING}
- {level: 6, name: 1, int_value: -1, state: STATE_BOUND, type: {stream: {}}}
- {level: 6, name: 2, int_value: 1, type: {datagram: {}}}
- {level: 6, name: 3, int_value: 1, ip_version: SOCKET_IP_VERSION_IPV4}
tcp_keepalive: {keepalive_probes: 3, keepalive_time: 60}
additional_addresses:
- {address: {socket_address: {address: 127.0.0.1, port_value: 81}}}
- address: {socket_address: {address: 127.0.0.1, port_value: 82}}
  socket_options: {socket_options: [{level: 1, name: 2, int_value: 4294967295}]}
  tcp_keepalive: {}
`), &listenerv3.Listener{}))
	if err != nil {
		t.Fatal(err)
	}
	all := []config.SocketOption{
		{Level: 1, Name: 9, Int: 1}, {Level: 6, Name: 13, Bytes: []byte("ab"), State: config.SocketListening}, {Level: 6, Name: 1, Int: -1, State: config.SocketBound},
	}
	v4 := append(all[:3:3], config.SocketOption{Level: 6, Name: 3, Int: 1})
	keep := []config.SocketOption{{Level: 1, Name: 9, Int: 1}, {Level: 6, Name: 6, Int: 3}, {Level: 6, Name: 4, Int: 60}}
	at := func(ip string, port uint32, compat bool, options ...config.SocketOption) config.ListenAddress {
		return config.ListenAddress{Address: config.Address{IP: ip, Port: port},
			SocketSettings: config.SocketSettings{IPv4Compat: compat, Backlog: 7, Freebind: true, Options: options}}
	}
	want := []config.ListenAddress{
		at("::", 80, true, append(all[:3:3], keep...)...), at("127.0.0.1", 81, false, append(v4[:4:4], keep...)...),
		at("127.0.0.1", 82, false, config.SocketOption{Level: 1, Name: 2, Int: -1}, config.SocketOption{Level: 1, Name: 9, Int: 1}),
	}
	checkEqual(t, got.Addresses(), want, nil)
}

// TestOriginalDestinations decodes listeners that do not bind, and those that hand connections over to them, which need their filter.
func TestOriginalDestinations(t *testing.T) {
	const v4 = "address: 127.0.0.1, port_value: 80"
	const filter = "{name: mine, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst}}"
	filtered := func(name string) []config.ListenerFilter {
		return []config.ListenerFilter{{Name: name, Config: config.OriginalDst{}}}
	}
	for text, want := range map[string]config.Listener{
		"":                        {},
		"bind_to_port: true":      {},
		"bind_to_port: false":     {Unbound: true},
		"deprecated_v1: {}":       {},
		"use_original_dst: false": {},
		"use_original_dst: true":  {HandsOff: true, Filters: filtered("envoy.filters.listener.original_dst")},
		"deprecated_v1: {bind_to_port: false}\nbind_to_port: true":   {Unbound: true},
		"use_original_dst: true\nlistener_filters: [" + filter + "]": {HandsOff: true, Filters: filtered("mine")},
	} {
		l, err := resource.Listener(parse(t, onAddress(v4, text), &listenerv3.Listener{}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := config.Listener{Unbound: l.Unbound, HandsOff: l.HandsOff, Filters: l.Filters}
		checkEqual(t, &got, &want, nil)
	}
}

func TestListenAddressesRefused(t *testing.T) {
	const v4 = "address: 127.0.0.1, port_value: 80"
	for name, tt := range map[string]struct{ text, want string }{
		"nameless pipe":     {onPipe("path: '@'", ""), "address.pipe.path: must name a socket: the path of a file, or @ and an abstract name"},
		"long pipe":         {onPipe("path: /"+strings.Repeat("x", 107), ""), `address.pipe.path: "/` + strings.Repeat("x", 107) + `" has 108 bytes, a Unix domain socket can have at most 107`},
		"abstract mode":     {onPipe("path: '@x', mode: 384", ""), "address.pipe.mode: cannot be set for an abstract socket, which has no file"},
		"pipe mode":         {onPipe("path: /x, mode: 512", ""), "address.pipe.mode: value must be less than or equal to 511"},
		"freebind pipe":     {onPipe("path: /x", "freebind: true"), "address.pipe: cannot be with freebind or transparent, which are options of IP"},
		"transparent pipe":  {onAddress(v4, "transparent: true\nadditional_addresses: [{address: {pipe: {path: /x}}}]"), "additional_addresses[0].address.pipe: cannot be with freebind or transparent, which are options of IP"},
		"UDP":               {onAddress(v4+", protocol: UDP", ""), "address.socket_address.protocol: UDP is not supported, only TCP"},
		"named port":        {onAddress("address: 127.0.0.1, named_port: http", ""), "address.socket_address.named_port: is not supported"},
		"resolver":          {onAddress(v4+", resolver_name: r", ""), "address.socket_address.resolver_name: is not supported"},
		"namespace":         {onAddress(v4+", network_namespace_filepath: /n", ""), "address.socket_address.network_namespace_filepath: is not supported"},
		"unbound pipe":      {onPipe("path: /x", "bind_to_port: false"), "address.pipe: cannot be with bind_to_port: false: what is handed over was meant for an IP address"},
		"more unbound":      {onAddress(v4, "deprecated_v1: {bind_to_port: false}\nadditional_addresses: [{address: {pipe: {path: /x}}}]"), "additional_addresses[0].address.pipe: cannot be with bind_to_port: false: what is handed over was meant for an IP address"},
		"no address":        {onAddress(v4, "additional_addresses: [{}]"), "additional_addresses[0].address: must have a socket_address"},
		"additional pipe":   {onAddress(v4, "additional_addresses: [{address: {pipe: {path: ''}}}]"), "additional_addresses[0].address.pipe.path: value length must be at least 1 runes"},
		"pipe keepalive":    {onAddress(v4, "additional_addresses: [{address: {pipe: {path: /x}}, tcp_keepalive: {keepalive_time: 0}}]"), "additional_addresses[0].tcp_keepalive.keepalive_time: 0 must be from 1 to 32767"},
		"many addresses":    {onAddress(v4, "additional_addresses: ["+strings.Repeat("{},", 65)+"]"), "additional_addresses: there are 65, there may be 64"},
		"level":             {onAddress(v4, "socket_options: [{level: -1, int_value: 1}]"), "socket_options[0]: level and name must be from 0 to 2147483647"},
		"int":               {onAddress(v4, "socket_options: [{int_value: 4294967296}]"), "socket_options[0].int_value: 4294967296 does not fit into 32 bits"},
		"empty buffer":      {onAddress(v4, "socket_options: [{buf_value: ''}]"), "socket_options[0].buf_value: has 0 bytes, it must have 1 to 4096"},
		"option without":    {onAddress(v4, "socket_options: [{level: 1}]"), "socket_options[0].value: value is required"},
		"many options":      {onAddress(v4, "socket_options: ["+strings.Repeat("{int_value: 1},", 65)+"]"), "socket_options: there are 65, there may be 64"},
		"additional option": {onAddress(v4, "additional_addresses: [{address: {socket_address: {address: '::1', port_value: 1}}, socket_options: {socket_options: [{level: -1, int_value: 1}]}}]"), "additional_addresses[0].socket_options.socket_options[0]: level and name must be from 0 to 2147483647"},
		"keepalive":         {onAddress(v4, "tcp_keepalive: {keepalive_time: 0}"), "tcp_keepalive.keepalive_time: 0 must be from 1 to 32767"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resource.Listener(parse(t, tt.text, &listenerv3.Listener{}))
			checkError(t, err, `listener "l": `+tt.want)
		})
	}
}
