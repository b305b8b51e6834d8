package bootstrap

import (
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

func parseGoogle(fields string) (*Bootstrap, error) {
	return Parse("f", []byte("dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{google_grpc: {stat_prefix: cp, "+fields+"}}]}}"), protofile.YAML, Options{})
}

func TestGoogleTarget(t *testing.T) {
	for uri, want := range map[string]config.Address{
		"cp.test:18000":                 {IP: "cp.test", Port: 18000},
		"dns:///cp.test:18000":          {IP: "cp.test", Port: 18000},
		"dns:cp.test":                   {IP: "cp.test", Port: 443},
		"127.0.0.1:1":                   {IP: "127.0.0.1", Port: 1},
		"ipv4:127.0.0.1:1":              {IP: "127.0.0.1", Port: 1},
		"ipv6:[::1]:1":                  {IP: "::1", Port: 1},
		"[::1]":                         {IP: "::1", Port: 443},
		"unix:///run/cp.sock":           {Path: "/run/cp.sock"},
		"unix:cp.sock":                  {Path: "cp.sock"},
		"unix-abstract:a":               {Path: "@a"},
		"":                              {},
		"cp.test:0":                     {},
		"cp.test:70000":                 {},
		"xds:///cp":                     {},
		"dns://1.1.1.1/cp.test":         {},
		"a b:1":                         {},
		"unix:":                         {},
		"ipv4:1.1.1.1:1,2.2.2.2:1":      {},
		strings.Repeat("a", 254) + ":1": {},
	} {
		got, ok := googleTarget(uri)
		if ok != (want != config.Address{}) || ok && got != want {
			t.Errorf("%q: %v, %v, want %v", uri, got, ok, want)
		}
	}
}

func TestGoogleGRPC(t *testing.T) {
	b, err := parseGoogle("target_uri: cp.test, channel_args: {args: {grpc.keepalive_time_ms: {int_value: 30000}, grpc.keepalive_timeout_ms: {int_value: 5000}, " +
		"grpc.max_receive_message_length: {int_value: 7}, grpc.default_authority: {string_value: a}, grpc.http2.max_pings_without_data: {int_value: 0}}}")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b.ADS.Servers, []Server{{
		StatPrefix: "cp", Targets: []config.Address{{IP: "cp.test", Port: 443}}, Authority: "a", HTTP2: true, MaxReceiveBytes: 7,
		KeepaliveInterval: 30 * time.Second, KeepaliveTimeout: 5 * time.Second,
	}})
	equal(t, len(b.Warnings), 1)

	b, err = parseGoogle("target_uri: cp.test, channel_credentials: {ssl_credentials: {}}")
	if err != nil {
		t.Fatal(err)
	}
	if c := b.ADS.Servers[0].TLS; c == nil || !c.HasTrust() || c.SNI != "cp.test" || !c.AutoSANValidation {
		t.Errorf("TLS %+v, want that of a server which is verified by the roots of the system to be cp.test", c)
	}
	b, err = parseGoogle("target_uri: '[::1]:1', channel_credentials: {ssl_credentials: {root_certs: {filename: /ca}, cert_chain: {filename: /c}, private_key: {filename: /k}}}")
	if err != nil {
		t.Fatal(err)
	}
	if c := b.ADS.Servers[0].TLS; c == nil || !c.HasTrust() || c.SNI != "" || len(c.Validation.SANs) != 1 || len(c.Certificates) != 1 {
		t.Errorf("TLS %+v, want that of a server which is verified to be ::1 and shown a certificate", c)
	}
}

func TestGoogleGRPCRefused(t *testing.T) {
	const at = "f: dynamic_resources.ads_config.grpc_services[0].google_grpc."
	for fields, want := range map[string]string{
		"target_uri: 'xds:///a'":                                                              at + `target_uri: "xds:///a" must be host:port`,
		"target_uri: a, call_credentials: [{access_token: t}]":                                at + "call_credentials: is not supported",
		"target_uri: a, channel_credentials: {google_default: {}}":                            at + "channel_credentials.google_default: is not supported",
		"target_uri: a, channel_credentials: {local_credentials: {}}":                         at + "channel_credentials.local_credentials: is for a Unix domain socket or a loopback address, and a:443 is neither",
		"target_uri: 'unix:/a', channel_credentials: {ssl_credentials: {}}":                   at + "channel_credentials.ssl_credentials: needs a target with a name or an address",
		"target_uri: a, channel_credentials: {ssl_credentials: {cert_chain: {filename: /c}}}": at + "channel_credentials.ssl_credentials: must have both of private_key and cert_chain, or none",
		"target_uri: a, channel_args: {args: {grpc.lb_policy_name: {string_value: x}}}":       at + `channel_args.args["grpc.lb_policy_name"]: is not supported`,
		"target_uri: a, channel_args: {args: {grpc.keepalive_time_ms: {string_value: x}}}":    at + `channel_args.args["grpc.keepalive_time_ms"]: must have an int_value`,
	} {
		if _, err := parseGoogle(fields); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", fields, err, want)
		}
	}
}
