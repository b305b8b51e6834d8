package resource_test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// ownIPv4 is the source address 127.0.0.2.
const ownIPv4 = "source_address: {address: 127.0.0.2, port_value: 0}\n"

// bound returns a cluster's upstream_bind_config.
func bound(text string) string {
	return "upstream_bind_config:\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

func TestBind(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("127.0.0.2:0"), netip.MustParseAddrPort("[::1]:7")
	mark := config.SocketOption{Level: syscall.SOL_SOCKET, Name: syscall.SO_MARK, Int: 3}
	free4 := config.SocketOption{Level: syscall.IPPROTO_IP, Name: syscall.IP_FREEBIND, Int: 1}
	free6 := config.SocketOption{Level: syscall.IPPROTO_IPV6, Name: 78, Int: 1}
	tests := map[string]struct {
		text string
		want config.Bind
	}{
		"nothing": {"freebind: null", config.Bind{}},
		"one address, also for hosts of the other family": {ownIPv4, config.Bind{V4: config.BindSource{Address: v4}, V6: config.BindSource{Address: v4}}},
		"an address for each family": {
			ownIPv4 + "extra_source_addresses: [{address: {address: '::1', port_value: 7}}]\nfreebind: true",
			config.Bind{
				V4: config.BindSource{Address: v4, Options: []config.SocketOption{free4}},
				V6: config.BindSource{Address: v6, Options: []config.SocketOption{free6}},
			}},
		"deprecated": {
			ownIPv4 + "additional_source_addresses: [{address: '::1', port_value: 7}]\nfreebind: false",
			config.Bind{
				V4: config.BindSource{Address: v4, Options: []config.SocketOption{{Level: free4.Level, Name: free4.Name}}},
				V6: config.BindSource{Address: v6, Options: []config.SocketOption{{Level: free6.Level, Name: free6.Name}}},
			}},
		"options": {
			ownIPv4 + "socket_options: [{level: 1, name: 36, int_value: 3}]\n" +
				"extra_source_addresses: [{address: {address: '::1', port_value: 7}, socket_options: {socket_options: [{level: 1, name: 2, buf_value: AQI=, state: STATE_BOUND}]}}]\n" +
				"local_address_selector: {name: d, typed_config: {'@type': type.googleapis.com/envoy.config.upstream.local_address_selector.v3.DefaultLocalAddressSelector}}",
			config.Bind{
				V4: config.BindSource{Address: v4, Options: []config.SocketOption{mark}},
				V6: config.BindSource{Address: v6, Options: []config.SocketOption{{Level: 1, Name: 2, Bytes: []byte{1, 2}, State: config.SocketBound}}},
			}},
		"options by family": {
			"socket_options: [{level: 1, name: 36, int_value: 3, ip_version: SOCKET_IP_VERSION_IPV6}]",
			config.Bind{V6: config.BindSource{Options: []config.SocketOption{mark}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := resource.Cluster(parse(t, "name: c\n"+bound(test.text), &clusterv3.Cluster{}))
			if err != nil {
				t.Fatal(err)
			}
			checkEqual(t, c.Bind, &test.want, nil)
		})
	}
}
