package bootstrap

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// variables returns an environment.
func variables(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestFromEnvironment(t *testing.T) {
	tests := map[string]struct {
		env           func(string) string
		node, cluster string
		admin         config.Address
		target        config.Address
		connect       time.Duration
	}{
		"nothing set": {variables(), "alb-node", "marchproxy-cluster", config.Address{IP: "0.0.0.0", Port: 9901}, config.Address{IP: "api-server", Port: 18000}, 5 * time.Second},
		"all set": {
			variables("XDS_SERVER", "[2001:db8:0::1]:1", "XDS_NODE_ID", "n", "XDS_CLUSTER", "c", "XDS_CONNECT_TIMEOUT", "1m", "ENVOY_ADMIN_PORT", "1", "ENVOY_LISTEN_PORT", "x"),
			"n", "c", config.Address{IP: "0.0.0.0", Port: 1}, config.Address{IP: "2001:db8::1", Port: 1}, time.Minute,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := FromEnvironment(test.env)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, b.Node.GetId(), test.node)
			equal(t, b.Node.GetCluster(), test.cluster)
			equal(t, b.Admin, test.admin)
			equal(t, b.ADS, &ControlPlane{Servers: []Server{{
				Cluster: "xds_cluster", Targets: []config.Address{test.target}, ConnectTimeout: test.connect, MaxReceiveBytes: 64 << 20, HTTP2: true,
			}}})
			equal(t, b.LDS, &config.Discovery{FetchTimeout: 15 * time.Second})
			equal(t, b.CDS, b.LDS)
			equal(t, len(b.Listeners)+len(b.Warnings), 0)
			equal(t, len(b.Clusters) == 1 && b.Clusters[0].Name == "xds_cluster", true)
			equal(t, b.Check(), nil)
		})
	}
}

func TestBadVariables(t *testing.T) {
	_, err := FromEnvironment(variables("XDS_SERVER", "api-server", "XDS_CONNECT_TIMEOUT", "5", "ENVOY_ADMIN_PORT", "70000", "ENVOY_ADMIN_ADDRESS", "localhost"))
	wantError(t, err, `XDS_SERVER: "api-server" must be host:port, like api-server:18000
XDS_CONNECT_TIMEOUT: "5" must be a duration like 5s, more than 0s and at most 1h0m0s
ENVOY_ADMIN_PORT: "70000" must be a port from 1 to 65535
ENVOY_ADMIN_ADDRESS: "localhost" must be an IP address, like 127.0.0.1 or ::1`)
	_, err = FromEnvironment(variables("XDS_SERVER", "a:b"))
	wantError(t, err, `XDS_SERVER: "a:b" must be host:port, like api-server:18000: "b" must be a port from 1 to 65535`)
	_, err = FromEnvironment(variables("XDS_SERVER", "a b:1"))
	wantError(t, err, `XDS_SERVER: "a b" is not a host name or an IP address`)
	_, err = FromEnvironment(variables("XDS_CONNECT_TIMEOUT", "-1s"))
	wantError(t, err, `XDS_CONNECT_TIMEOUT: "-1s" must be a duration like 5s, more than 0s and at most 1h0m0s`)
}

func TestComplete(t *testing.T) {
	b, err := Parse("f", []byte("node: {id: mine}\nadmin: {access_log_path: /x}\nstatic_resources: {clusters: [{name: xds_cluster}]}"), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	notes, err := Complete(b, variables("XDS_NODE_ID", "other", "XDS_CLUSTER", "c", "XDS_SERVER", "1.1.1.1:5"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, notes, []string{"XDS_NODE_ID=other is not used, the bootstrap says mine"})
	equal(t, b.Node.GetId()+" "+b.Node.GetCluster(), "mine c")
	equal(t, b.ADS.Servers[0].Cluster, "xds_cluster_2")
	equal(t, b.ADS.Servers[0].Targets, []config.Address{{IP: "1.1.1.1", Port: 5}})
	equal(t, b.Admin.Port, uint32(9901))
	equal(t, len(b.Clusters), 2)
}

func TestContradictions(t *testing.T) {
	b, err := Parse("f", []byte(full), protofile.YAML, Options{})
	if err != nil {
		t.Fatal(err)
	}
	env := variables("XDS_SERVER", "other:1", "XDS_NODE_ID", "n1", "XDS_CLUSTER", "c2", "XDS_CONNECT_TIMEOUT", "9s", "ENVOY_ADMIN_PORT", "1", "ENVOY_ADMIN_ADDRESS", "::1")
	notes, err := Complete(b, env)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, notes, []string{
		"XDS_CLUSTER=c2 is not used, the bootstrap says c1",
		"ENVOY_ADMIN_PORT=1 is not used, the bootstrap says 9901",
		"ENVOY_ADMIN_ADDRESS=::1 is not used, the bootstrap says 127.0.0.1",
		"XDS_SERVER=other:1 is not used, the bootstrap says api-server:18000",
		"XDS_CONNECT_TIMEOUT=9s is not used, the bootstrap says 3s",
	})
	equal(t, b.Admin.IP, "127.0.0.1")

	if _, err := Complete(b, variables("ENVOY_ADMIN_PORT", "x")); err == nil {
		t.Error("a bad variable was accepted because nothing needs it")
	}
	equal(t, b.Admin.Port, uint32(9901))
}
