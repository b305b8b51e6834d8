package resource_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// TestAutoConfigRefused refuses what of auto_config would not be as it says.
func TestAutoConfigRefused(t *testing.T) {
	secured := tlsSocket("Upstream", "sni: a") + "\n"
	for text, want := range map[string]string{
		secured + httpOptions + "auto_config: {http3_protocol_options: {}}":                                        "auto_config.http3_protocol_options: is not supported",
		secured + httpOptions + "auto_config: {alternate_protocols_cache_options: {name: c}}":                      "auto_config.alternate_protocols_cache_options: is not supported",
		plainSocket + "\n" + httpOptions + "auto_config: {}":                                                       "auto_config: needs a transport_socket of TLS, whose ALPN chooses the protocol",
		secured + "transport_socket_matches: [{name: m, " + plainSocket + "}]\n" + httpOptions + "auto_config: {}": "auto_config: needs TLS, whose ALPN chooses the protocol, which transport_socket_matches[0] does not have",
	} {
		_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
		checkError(t, err, `cluster "c": `+optionsPath+want)
	}
}
